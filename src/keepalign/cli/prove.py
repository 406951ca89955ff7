"""`keepalign prove`: makes the predicted faults happen on real servers, and shows that the fix ends them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keepalign.cli import _options
from keepalign.cli._options import Output
from keepalign.errors import UsageError
from keepalign.units import Duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepalign.join import Loaded
    from keepalign.prove.proof import Proven


@click.command(
    "prove",
    short_help="Make the faults happen on real servers, fix them, and show that they are gone.",
    epilog="Example: keepalign prove examples/orders-api/broken",
)
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
    "--seed", default=1, show_default=True, help="Of the traffic: the same seed, the same requests."
)
@click.option("--target", default="", metavar="NAME", help="One of several services; else each in turn.")
@click.option("--keep", is_flag=True, help="Keep the runs' folders, and show what the lab replaced.")
def command(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
    formats: tuple[Output, ...],
    seed: int,
    target: str,
    keep: bool,
) -> int:
    """Run the stack below PATH… behind a faithful balancer: before the fix and after it.

    The servers are real and run your own configuration and flags on loopback; only ports, paths and scaled
    times are replaced. Open-loop traffic and one rolling deploy, the same before and after. Nothing below
    PATH is changed, and every process is ended, also on Ctrl-C. Takes about half a minute; a stack without
    findings runs once, as it is. Several services are proved one after the other.
    """
    from keepalign.cli._proof import run_proof

    for output in formats:
        _check_folder(output)
    loaded = _options.load(paths, in_front, longest_request, longest_silence)
    names = _wanted(loaded, target, formats)
    proven = [run_proof(loaded.only(name), seed=seed, keep=keep) for name in names or [""]]
    for output in formats:
        _write(output, proven)
    if keep:
        for one in proven:
            _tell_kept(one, err=any(output.format == "json" and not output.file for output in formats))
    return 0 if all(one.proof.holds for one in proven) else 1


def _wanted(loaded: Loaded, target: str, formats: tuple[Output, ...]) -> list[str]:
    """The names of the targets to prove; none where there is nothing to run, which the proof tells.

    Raises: UsageError: there is no such target, or several are to go into one JSON document.
    """
    names = [one.name for one in loaded.targets]
    if target and target not in names:
        raise UsageError(f"there is no target {target!r}", hint=f"there are: {', '.join(names)}")
    wanted = [target] if target else names
    if len(wanted) > 1 and any(output.format == "json" for output in formats):
        raise UsageError(
            f"a JSON document holds one proof, and there are {len(wanted)} targets",
            hint=f"give --target NAME: {', '.join(names)}",
        )
    return wanted


def _check_folder(output: Output) -> None:
    """Half a minute later would be late to say so. Raises: UsageError: the file's folder is not there."""
    folder = Path(output.file).parent
    if not folder.is_dir():
        raise UsageError(f"{output.file}: there is no folder {folder}", hint="make it, or name another file")


def _write(output: Output, proven: Sequence[Proven]) -> None:
    """Raises: UsageError: the output cannot be written."""
    if output.format == "json":
        from keepalign.reports import proof_v1

        (one,) = proven
        _options.emit(output, proof_v1.render(one.proof, one.repair.plan.changes))
        return
    from keepalign.cli._proof import changes_of
    from keepalign.reports.proof import report

    lines = [line for one in proven for line in ((), *report(one.proof, changes_of(one)))]
    _options.emit_lines(output, lines[1:])


def _tell_kept(proven: Proven, *, err: bool) -> None:
    """What the lab replaced and where everything lies; to standard error if `err`."""
    for run in (proven.before, proven.after):
        if run is not None:
            for name, diff in run.diffs.items():
                click.echo(f"\n{run.experiment.name}: what the lab replaced for {name}:\n{diff}", err=err)
    for folder in proven.folders:
        click.echo(
            f"Kept: {folder} (access.log of the balancer; task-*/: configuration and log of each server)",
            err=err,
        )
