"""`keepalign demo`: the proof of the packaged example, told as a story."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from keepalign.model.finding import Finding
    from keepalign.model.proof import Proof
    from keepalign.reports._lines import Line


@click.command(
    "demo",
    short_help="See five such faults happen, get fixed, and stay away, in about a minute.",
    epilog="Example: keepalign demo",
)
@click.option(
    "--seed", default=1, show_default=True, help="Of the traffic: the same seed, the same requests."
)
def command(seed: int) -> int:
    """Tell the story that keepalign comes from, with real servers on loopback.

    No cloud, no root, nothing changed: the example's own Apache and gunicorn run behind keepalign's balancer
    with their own configuration, broken and fixed, ten times as fast as in life.
    """
    from keepalign.cli._proof import changes_of, run_proof
    from keepalign.join import load_stack
    from keepalign.prove.example import story
    from keepalign.prove.proof import prepare
    from keepalign.reports.proof import report
    from keepalign.reports.terminal import show

    loaded = load_stack([str(story() / "broken")])
    repaired, _ = prepare(loaded)
    show(_opening(repaired.before.findings), sys.stdout)
    sys.stdout.flush()
    proven = run_proof(loaded, seed=seed, keep=False)
    show(report(proven.proof, changes_of(proven)), sys.stdout)
    show(_closing(proven.proof), sys.stdout)
    return 0 if proven.proof.holds else 1


def _opening(findings: tuple[Finding, ...]) -> list[Line]:
    from keepalign.reports._lines import BLANK, line, wrapped

    lines = [
        line(("The orders API", "bold")),
        *wrapped(
            "Apache httpd and two gunicorn pools in one ECS task, behind an AWS load balancer. Every value "
            "in its configuration looks reasonable. Yet now and then a request ends in a 502 or a 504, the "
            "application's log shows nothing, and nobody can make it happen.",
            first="",
        ),
        BLANK,
        line(("What the configuration says", "bold"), " (`keepalign check` shows it with files and lines)"),
    ]
    for number, finding in enumerate(findings, 1):
        lines += wrapped(f"{finding.title} [{finding.cause}]", first=f"  {number}. ")
        lines += wrapped(finding.arithmetic, first="     ", style="dim")
    lines += [
        BLANK,
        line(("Now it happens", "bold"), " — and, beside it, the same load on the fixed configuration."),
        *wrapped("Real servers on loopback, a rolling deploy, half a minute.", first=""),
        BLANK,
    ]
    return lines


def _closing(proof: Proof) -> list[Line]:
    from keepalign.reports._lines import BLANK, line, wrapped

    if not proof.holds:
        return [BLANK, line("This should not be: please report it with the table above.")]
    return [
        BLANK,
        line(("Next, on your own stack", "bold")),
        *wrapped("find the faults, with the lines to change", first="  keepalign check PATH…   "),
        *wrapped("the same as one diff; --write applies it", first="  keepalign fix PATH…     "),
        *wrapped("what you just saw, with your servers and flags", first="  keepalign prove PATH…   "),
    ]
