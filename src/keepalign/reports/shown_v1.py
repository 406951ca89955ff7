"""JSON v1 of `lab run` and `lab compare`: a contract with other programs. It changes only by adding.

A name that ends in `_s` is in seconds. The schema is `docs/reference/lab-v1.schema.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

import keepalign
from keepalign.model import shown as model
from keepalign.reports import _json

VERSION: Final = 1


class Failure(msgspec.Struct, frozen=True):
    """Requests that failed by one cause; `statuses`: "502", "cut" (the body ended early), "none"."""

    cause: str
    count: int
    statuses: list[str]
    how: str


class Run(msgspec.Struct, frozen=True):
    """One run; `killed`: processes that got SIGKILL; `predicted`: what `check` finds in its stack."""

    name: str
    requests: int
    failed: int
    failures: list[Failure]
    killed: int
    predicted: list[str]
    took_s: float


class Scenario(msgspec.Struct, frozen=True):
    """One scenario on one server; `faults` is empty when it shows what it says."""

    cause: str
    server: str
    servers: list[str]
    shows: str
    factor: int
    round_trip_s: float
    seed: int
    runs: list[Run]
    holds: bool
    faults: list[str]


class Report(msgspec.Struct, frozen=True):
    """The whole document."""

    keepalign: str
    scenarios: list[Scenario]
    schema: Literal[1] = 1


def render(shown: Sequence[model.Shown]) -> bytes:
    """The document, indented, with an end of line."""
    return _json.written(Report(keepalign.__version__, [_scenario(one) for one in shown]))


def schema() -> bytes:
    """JSON Schema of Report, in the form of render()."""
    return _json.schema_of(Report)


def _scenario(shown: model.Shown) -> Scenario:
    return Scenario(
        cause=shown.slug,
        server=shown.server,
        servers=list(shown.servers),
        shows=shown.shows,
        factor=shown.factor,
        round_trip_s=shown.round_trip.seconds,
        seed=shown.seed,
        runs=[
            Run(
                name=run.name,
                requests=run.requests,
                failed=run.failed,
                failures=[Failure(f.cause, f.count, list(f.statuses), f.how) for f in run.failures],
                killed=run.killed,
                predicted=list(run.predicted),
                took_s=run.took.seconds,
            )
            for run in shown.runs
        ],
        holds=shown.holds,
        faults=list(shown.faults),
    )
