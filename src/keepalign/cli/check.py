"""`keepalign check`: find the timeouts that do not line up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from keepalign.cli import _options
from keepalign.cli._options import Output
from keepalign.errors import NothingToRead, UnsolvablePath
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.join import Loaded
    from keepalign.model.checked import CheckResult
    from keepalign.reports.terminal import Cure

_LEVELS: Final = ("info", "low", "medium", "high")


@click.command("check", short_help="Find timeouts that do not line up along a request path.")
@_options.inputs
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_options.outputs_of("text", "json"),
    metavar="FORMAT[=FILE]",
    help="text (the default) or json, to standard output or to FILE; repeatable.",
)
@click.option(
    "--fail-on",
    type=click.Choice(_LEVELS[1:]),
    default="medium",
    show_default=True,
    help="Least severity of a finding that ends in exit code 1.",
)
@click.option("--strict", is_flag=True, help="Exit code 1 also when anything is unknown or not joined.")
@click.option("--exit-zero", is_flag=True, help="Exit code 0 whatever was found.")
def command(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
    formats: tuple[Output, ...],
    fail_on: str,
    strict: bool,
    exit_zero: bool,
) -> int:
    """Find timeouts that do not line up along a request path.

    PATH... are folders or files: Terraform, Apache httpd, Dockerfiles, entrypoint scripts, keepalign.toml.
    Give several when a service is spread over several repositories.

    A Terraform plan as JSON is a PATH too, and - is one on standard input; its values count, and nothing of
    its text is shown: terraform show -json tfplan | keepalign check - app/ httpd/
    """
    from keepalign import fix, rules
    from keepalign.reports.terminal import Cure

    loaded = _options.load(paths, in_front, longest_request, longest_silence)
    try:
        mended = fix.repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
        result = mended.before
        cure = Cure(mended.plan.changes, fix.diffs_of(mended, loaded.sources))
    except UnsolvablePath as error:
        result = rules.check(loaded.stack)
        cure = Cure(failed=error.message)
    for output in formats:
        _write(output, loaded, result, cure)

    if exit_zero:
        return 0
    if not loaded.stack.paths:
        # No path means no comparison: this must not look like a clean tree.
        return NothingToRead.exit_code
    crashed = any(finding.cause == rules.CRASHED for finding in result.findings)
    unknown = bool(result.undecided or loaded.stack.unjoined or loaded.notes or crashed)
    return int(any(f.severity >= _LEVELS.index(fail_on) for f in result.findings) or (strict and unknown))


def _write(output: Output, loaded: Loaded, result: CheckResult, cure: Cure) -> None:
    """Raises: UsageError: the output cannot be written."""
    if output.format == "json":
        from keepalign.reports import json_v1

        data = json_v1.render(loaded.stack, result, cure.changes, loaded.notes, fix_failed=cure.failed)
        _options.emit(output, data)
        return
    from keepalign.reports import terminal

    lines = terminal.report(loaded.stack, result, loaded.sources, cure, loaded.notes)
    _options.emit_lines(output, lines)
