"""`keepalign prove`: makes the predicted faults happen on real servers, and shows that the fix ends them."""

from __future__ import annotations

import sys

import click

from keepalign.cli._options import inputs, load
from keepalign.units import Duration


@click.command(
    "prove",
    short_help="Make the faults happen on real servers, fix them, and show that they are gone.",
    epilog="Example: keepalign prove examples/orders-api/broken",
)
@inputs
@click.option(
    "--seed", default=1, show_default=True, help="Of the traffic: the same seed, the same requests."
)
@click.option("--keep", is_flag=True, help="Keep the run's folders, and show what the lab replaced.")
def command(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
    seed: int,
    keep: bool,
) -> int:
    """Run the stack below PATH… behind a faithful balancer: before the fix and after it.

    The servers are real and run your own configuration and flags on loopback; only ports, paths and scaled
    times are replaced. Open-loop traffic and one rolling deploy, the same before and after. Nothing below
    PATH is changed, and every process is ended, also on Ctrl-C. Takes about a minute.
    """
    from keepalign.cli._proof import run_proof
    from keepalign.reports.proof import report
    from keepalign.reports.terminal import show

    loaded = load(paths, in_front, longest_request, longest_silence)
    proven = run_proof(loaded, seed=seed, keep=keep)
    changes = [
        f"{change.setting.option} of {change.hop} → {change.value}" for change in proven.repair.plan.changes
    ]
    show(report(proven.proof, list(dict.fromkeys(changes))), sys.stdout)
    if keep:
        for name, diff in proven.before.diffs.items():
            click.echo(f"\nWhat the lab replaced for {name}:\n{diff}")
        for folder in proven.folders:
            click.echo(f"Kept: {folder}")
    return 0 if proven.proof.holds else 1
