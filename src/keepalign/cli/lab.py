"""`keepalign lab`: scenarios, one per cause, with real servers behind a faithful balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from keepalign.cli import _options, debug_option
from keepalign.cli._options import Output
from keepalign.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepalign.model.shown import Shown
    from keepalign.prove.scenario import Played

_SEED = click.option(
    "--seed", default=1, show_default=True, help="Of the traffic: the same seed, the same requests."
)
_FORMAT = click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_options.outputs_of("text", "json"),
    metavar="FORMAT[=FILE]",
    help="text (the default) or json, to standard output or to FILE; repeatable.",
)


@click.group(
    "lab",
    short_help="Make one cause happen on its own, on the servers that you run.",
    epilog="Example: keepalign lab run backend-keepalive-below-lb-idle --server nginx",
)
@debug_option
def command() -> None:
    """Scenarios: per cause a small broken stack and its cure, run with real servers on loopback.

    Nothing outside this machine is called, and every process is ended, also on Ctrl-C.
    """


@command.command("list", short_help="All scenarios, with the servers they run on.")
@debug_option
def list_() -> int:
    """Name every scenario, what users see of it, and the servers it runs on."""
    from keepalign.reports.shown import listing
    from keepalign.scenarios import load, names

    scenarios = [load(name) for name in names()]
    rows = [
        (one.slug, one.title, tuple(dict.fromkeys(case.shows for case in one.cases)), one.servers)
        for one in scenarios
    ]
    _options.emit_lines(Output("text", ""), listing(rows))
    return 0


@command.command(
    "run",
    short_help="Run a scenario, broken and fixed.",
    epilog="Example: keepalign lab run no-graceful-shutdown --server all",
)
@click.argument("scenario", metavar="SLUG")
@click.option("--server", default="", metavar="NAME", help="One of its servers, or all; else its first.")
@click.option("--only", type=click.Choice(["broken", "fixed"]), help="One of the two stacks alone.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1, 1000), help="With new seeds.")
@_SEED
@click.option("--keep", is_flag=True, help="Keep the runs' folders.")
@_FORMAT
@debug_option
def run(
    scenario: str,
    server: str,
    only: str | None,
    runs: int,
    seed: int,
    keep: bool,
    formats: tuple[Output, ...],
) -> int:
    """Run scenario SLUG (or a FILE.toml of your own): the broken stack and the fixed one, side by side.

    Ends with 0 when the broken stack fails by this cause, check finds it there, and the fixed stack neither
    fails nor is found fault with; with 1 otherwise.
    """
    from keepalign.reports import shown_v1
    from keepalign.reports.shown import report
    from keepalign.scenarios import load

    told = load(scenario)
    names = told.servers if server == "all" else (told.on(server).server,)
    variants = (only,) if only else ("broken", "fixed")
    played = [[_play(scenario, name, seed + more, variants, keep) for more in range(runs)] for name in names]
    shown = [[one.shown for one in of_server] for of_server in played]
    for output in formats:
        if output.format == "json":
            _options.emit(output, shown_v1.render([one for of_server in shown for one in of_server]))
        else:
            lines = [line for of_server in shown for line in ((), *report(of_server))]
            _options.emit_lines(output, lines[1:])
    for of_server in played:
        for one in of_server:
            for folder in one.folders:
                click.echo(f"Kept: {folder} (access.log of the balancer; task-*: each server)", err=True)
    return 0 if all(one.holds for of_server in shown for one in of_server) else 1


@command.command(
    "compare",
    short_help="Two stacks under the same load.",
    epilog="Example: keepalign lab compare"
    " backend-keepalive-below-lb-idle@nginx backend-keepalive-below-lb-idle@gunicorn-gthread",
)
@click.argument("sides", nargs=2, metavar="A B")
@_SEED
@_FORMAT
@debug_option
def compare(sides: tuple[str, str], seed: int, formats: tuple[Output, ...]) -> int:
    """Run A and B one after the other and count their failures: each SLUG[@SERVER][:broken|:fixed].

    Without a server the scenario's first; without a stack the broken one.
    """
    from keepalign.reports import shown_v1
    from keepalign.reports.shown import comparison

    shown: list[tuple[str, Shown]] = []
    for side in sides:
        rest, _, variant = side.partition(":")
        slug, _, server = rest.partition("@")
        if variant not in ("", "broken", "fixed"):
            raise UsageError(f"{side}: a scenario has no {variant!r} stack", hint="write :broken or :fixed")
        shown.append((side, _play(slug, server, seed, (variant or "broken",), False).shown))
    for output in formats:
        if output.format == "json":
            _options.emit(output, shown_v1.render([one for _, one in shown]))
        else:
            _options.emit_lines(output, comparison(shown))
    return 0


def _play(slug: str, server: str, seed: int, variants: Sequence[str], keep: bool) -> Played:
    """On standard error: a bar on a terminal, else a line."""
    from keepalign.cli._proof import with_progress
    from keepalign.prove.scenario import play
    from keepalign.scenarios import load

    scenario = load(slug)
    title = f"{scenario.slug} on {scenario.on(server).server}: {' and '.join(variants)}"
    return with_progress(
        title,
        lambda report: play(scenario, server, seed=seed, variants=variants, keep=keep, report=report),
    )
