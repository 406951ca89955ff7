"""A value that somebody wrote takes effect.

## What it detects

A setting of a server that is written in two places with two values, of which one wins: a flag over an
environment variable over a configuration file, or the last of two equal flags. For information; the message
names the winner and the losers.

## Why it fails

The next person edits the place that they find first, and nothing changes:

    Monday    502s; keepalive = 75 goes into gunicorn.conf.py
    Tuesday   502s all the same: the Dockerfile starts gunicorn with --keep-alive 5, which wins

## Example

    # gunicorn.conf.py
    keepalive = 75

    CMD ["gunicorn", "--keep-alive", "5", "app:app"]

## Fix

Keep one of the two places, and take the setting out of the other.

| product | order, the strongest first |
| --- | --- |
| gunicorn | flags, `GUNICORN_CMD_ARGS`, the configuration file |
| uvicorn | flags, `UVICORN_…` variables |
| hypercorn | flags, the configuration file |

## What it does not cover

A directive of nginx or Apache in an inner block over one in an outer block: that is what the blocks are for.
Places with the same value. Values that are set while the container starts.

## Sources

- gunicorn, configuration overview: <https://docs.gunicorn.org/en/stable/configure.html>
- uvicorn, settings: <https://www.uvicorn.org/settings/>
- hypercorn, configuring: <https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Setting
from keepalign.model.source import OriginKind
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.units import ZERO

SLUG: Final = "setting-has-no-effect"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """A finding per setting that is written twice; else one outcome for the path."""
    written = [
        (hop, setting)
        for hop in path.hops
        for setting in hop.settings.values()
        if setting.origin.kind is OriginKind.FILE
    ]
    if not written:
        yield NotApplicable(
            SLUG, path.name, path.hops[0].name, "no setting on this path is written in a file"
        )
        return
    lost = [(hop, setting) for hop, setting in written if setting.origin.losers]
    for hop, setting in lost:
        yield _finding(path, hop, setting)
    if not lost:
        yield Ok(SLUG, path.name, path.hops[0].name, "every setting is written in one place")


def _finding(path: RequestPath, hop: Hop, setting: Setting) -> Finding:
    losers = setting.origin.losers
    winner = setting.origin.steps[0].what if setting.origin.steps else setting.option
    shown = " and ".join(step.what for step in losers)
    return Finding(
        cause=SLUG,
        title=f"{shown} has no effect on {hop.name}",
        severity=Severity.INFO,
        confidence=confidence_of([(hop, setting)]),
        ladder=Ladder.IDLE,
        symptom=Symptom("", "", "an edit there changes nothing"),
        arithmetic=f"{winner} wins over {shown}",
        hop=hop.name,
        path=path.name,
        locations=(
            *(Location(step.span, f"{step.what} is not used") for step in losers),
            located(setting, f"{winner} is used", hop.place),
        ),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.INFO,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.HANDLER_TIMEOUT, Role.SHUTDOWN_GRACE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="no request fails: it misleads who edits",
    unprovable="no request fails: it misleads who edits",
)
