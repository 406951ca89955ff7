"""`keepalign check`: find the timeouts that do not line up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keepalign.cli import _options
from keepalign.cli._options import Output
from keepalign.errors import NothingToRead, UnsolvablePath, UsageError
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.gate import Gated
    from keepalign.model.fingerprint import Names
    from keepalign.reports.subject import Subject

FORMATS: Final = (
    "text", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown", "mermaid",
)  # fmt: skip
"""Each but text and json is a module of `reports` with render(subject)."""

_LEVELS: Final = ("info", "low", "medium", "high")


@click.command("check", short_help="Find timeouts that do not line up along a request path.")
@_options.inputs
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_options.outputs_of(*FORMATS),
    shell_complete=_options.completed(*FORMATS),
    metavar="FORMAT[=FILE]",
    help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}, to standard output or to FILE; repeatable. text is the"
    " default; the exit code is the same for all.",
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
@click.option(
    "--baseline",
    "baseline_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Only findings that FILE does not have; those that are gone are told.",
)
@click.option(
    "--write-baseline",
    "new_baseline",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write all present findings to FILE, and hold them back.",
)
@click.option(
    "--base",
    metavar="REV",
    help="Only findings that revision REV of this git repository does not have, with the edits that made"
    " them.",
)
def command(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
    formats: tuple[Output, ...],
    fail_on: str,
    strict: bool,
    exit_zero: bool,
    baseline_file: str | None,
    new_baseline: str | None,
    base: str | None,
) -> int:
    """Find timeouts that do not line up along a request path.

    PATH... are folders or files: Terraform, CloudFormation, CDK, ECS task definitions, Kubernetes with
    Kustomize and Helm, docker-compose, Procfiles; Apache httpd, nginx, HAProxy, Envoy, Traefik, Caddy;
    Dockerfiles with what they start (gunicorn, uvicorn, hypercorn, uWSGI, Node.js, Go, Spring Boot, Tomcat,
    .NET, Puma, PHP-FPM); keepalign.toml. Give several when a service is spread over several repositories.

    A Terraform plan as JSON is a PATH too, and - is one on standard input; its values count, and nothing of
    its text is shown: terraform show -json tfplan | keepalign check - app/ httpd/

    A comment holds one finding back, on a line that it names or alone on the line above, in the file's own
    comment syntax: keepalign: ignore[SLUG] REASON until=2027-01-31. The reason is required.
    """
    if base is not None and (baseline_file is not None or new_baseline is not None):
        raise UsageError("--base and a baseline both say what was there before; give one of them")
    from keepalign import fix, rules
    from keepalign.gate import gated
    from keepalign.reports.subject import Subject
    from keepalign.reports.terminal import Cure

    loaded = _options.load(paths, in_front, longest_request, longest_silence)
    try:
        mended = fix.repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
        found = mended.before
        cure = Cure(
            mended.plan.changes,
            fix.diffs_of(mended, loaded.sources),
            {finding: error.message for finding, error in mended.unsolved.items()},
            fix.roll_out(mended.plan.changes, loaded.stack),
        )
    except UnsolvablePath as error:
        found = rules.check(loaded.stack)
        cure = Cure(failed={finding: error.message for finding in found.findings if finding.needs})
    names = _options.names()
    causes = tuple(rule.slug for rule in rules.RULES)
    passed = gated(loaded.stack, found, loaded.sources, today=date.today(), known=causes, name=names)
    if baseline_file is not None or new_baseline is not None:
        passed = _beside_baseline(passed, baseline_file, new_baseline if loaded.stack.paths else None, names)
    if base is not None:
        from keepalign.gate.flips import read_base, since

        passed = since(read_base(base, loaded, names), passed, loaded.stack)
    result = passed.result
    subject = Subject(
        stack=loaded.stack,
        result=result,
        sources=loaded.sources,
        cure=replace(cure, changes=passed.wanted(cure.changes)),
        gate=passed.gate,
        notes=(*loaded.notes, *passed.notes),
        causes=causes,
        name=names,
    )
    for output in formats:
        _write(output, subject)

    if exit_zero:
        return 0
    if not loaded.stack.paths:
        # No path means no comparison: this must not look like a clean tree.
        return NothingToRead.exit_code
    # Of all findings: no baseline makes a rule that failed a rule that holds.
    crashed = any(finding.cause == rules.CRASHED for finding in found.findings)
    unknown = bool(result.undecided or loaded.stack.unjoined or subject.notes or crashed)
    return int(any(f.severity >= _LEVELS.index(fail_on) for f in result.findings) or (strict and unknown))


def _beside_baseline(passed: Gated, old: str | None, new: str | None, names: Names) -> Gated:
    """Without what the baseline has: that of file `new`, which is written first, else that of `old`.

    Raises: UsageError: a file cannot be read or written, or is no baseline.
    """
    from keepalign.gate import baseline

    if new is not None:
        known = baseline.of(passed.result.findings, passed.gate.fingerprints, names)
        _options.emit(Output("baseline", new), baseline.encoded(known))
    elif old is not None:
        try:
            known = baseline.decoded(Path(old).read_bytes(), old)
        except OSError as error:
            raise UsageError(f"{old}: {error.strerror}") from error
    else:
        return passed
    return baseline.beside(known, passed)


def _write(output: Output, subject: Subject) -> None:
    """Raises: UsageError: the output cannot be written."""
    if output.format == "text":
        from keepalign.reports import terminal

        lines = terminal.report(
            subject.stack, subject.result, subject.sources, subject.cure, subject.notes, subject.gate
        )
        _options.emit_lines(output, lines)
        return
    if output.format == "json":
        from keepalign.reports import json_v1

        data = json_v1.render(
            subject.stack,
            subject.result,
            subject.cure.changes,
            subject.notes,
            fix_failed="; ".join(dict.fromkeys(subject.cure.failed.values())),
            stages=subject.cure.stages,
            gate=subject.gate,
        )
    else:
        if output.format in ("sarif", "markdown"):
            subject = _explained(subject)
        data = import_module(f"keepalign.reports.{output.format}").render(subject)
    _options.emit(output, data)


def _explained(subject: Subject) -> Subject:
    """With the pages of the causes, which cost time to make."""
    from keepalign.rules.pages import PAGES

    return replace(subject, pages={page.name: page for page in PAGES}, docs=_options.documentation())
