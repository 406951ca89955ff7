"""`keepalign fix`: edits that leave the whole path clean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from keepalign.cli import _options
from keepalign.errors import UnsolvablePath, UsageError
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.fix import Repair
    from keepalign.model.path import Stack


@click.command("fix", short_help="Print, or write, the edits that leave the whole path clean.")
@_options.inputs
@click.option("--write", is_flag=True, help="Edit the files; without it the edits are printed as a diff.")
@click.option(
    "--unsafe",
    is_flag=True,
    help="With --write: also when an edit may make requests fail that are answered now.",
)
def command(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
    write: bool,
    unsafe: bool,
) -> int:
    """Print the edits that leave every request path clean, as a diff for `git apply`.

    Only the values change; comments and formatting stay. The tree is read and checked again with the new
    values before anything is printed or written. Exit code 1: something of medium severity or above is left,
    to be changed by hand.

    What each edit costs is told with it, and the order in which they may take effect. Edits that shorten what
    a request may take, or that let idle connections hold workers, are unsafe: --write refuses them without
    --unsafe, and then writes nothing at all, as the edits of a path belong together.

    A Terraform plan is not edited: what only the plan says is told with its address, to be changed by hand.
    Give the folder of its *.tf files as well, and the edits are made there.
    """
    from keepalign import fix
    from keepalign.model.finding import Severity
    from keepalign.reports import terminal
    from keepalign.reports.diff import coloured

    if write and "-" in paths:
        raise UsageError(
            "--write cannot edit standard input (-)", hint="leave out --write, or give the plan as a file"
        )
    loaded = _options.load(paths, in_front, longest_request, longest_silence)
    mended = fix.repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
    text = fix.diff(mended.changed, loaded.sources)
    if terminal.in_colour(sys.stdout):
        terminal.show(coloured(text), sys.stdout)
    else:
        # As bytes: what is not UTF-8 in the files must reach `git apply` as it is.
        click.echo(text.encode("utf-8", "surrogateescape"), nl=False)
    refused = [change for change in mended.plan.editable if not change.safe] if write and not unsafe else []
    if write and mended.changed and not refused:
        fix.write(mended.changed, loaded.sources)
    _tell(mended, loaded.stack, written=write and not refused)
    if refused:
        settings = ", ".join(f"{change.setting.option} of {change.hop}" for change in refused)
        raise UnsolvablePath(
            f"{settings}: an unsafe edit, and --unsafe was not given; nothing was written",
            hint="look at what it costs; then give --unsafe, or change the values by hand",
        )
    return int(any(finding.severity >= Severity.MEDIUM for finding in mended.after.findings))


def _tell(mended: Repair, stack: Stack, *, written: bool) -> None:
    """What was done, to standard error."""
    from keepalign import fix
    from keepalign.reports import terminal

    if not mended.before.findings:
        click.echo("nothing to fix", err=True)
        return
    cure = terminal.Cure(
        mended.plan.changes,
        failed={finding: f"{error.message}; {error.hint}" for finding, error in mended.unsolved.items()},
        stages=fix.roll_out(mended.plan.changes, stack),
    )
    terminal.show(terminal.fix_summary(cure, mended.after, written=written), sys.stderr)
