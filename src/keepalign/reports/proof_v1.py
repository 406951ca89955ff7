"""JSON v1 of `prove`: a contract with other programs, apart from the model. It changes only by adding.

A name that ends in `_s` is in seconds. The schema is `docs/reference/prove-v1.schema.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

import keepalign
from keepalign.model import proof as model
from keepalign.model.checked import Change
from keepalign.reports import _json

VERSION: Final = 1

Verdict: TypeAlias = Literal["seen", "hidden", "not_showable", "explained", "not_seen", "not_cured"]


class Scale(msgspec.Struct, frozen=True):
    """All times were divided by `factor`, but for what `kept` says; `rounded`: values that had to move."""

    factor: int
    rounded: list[str]
    kept: list[str]


class StandIn(msgspec.Struct, frozen=True):
    """What answered instead of a container's own application, and why."""

    name: str
    why: str


class Edit(msgspec.Struct, frozen=True):
    """One setting that the fix changes, for which of the causes."""

    hop: str
    option: str
    value_s: float
    causes: list[str]


class Run(msgspec.Struct, frozen=True):
    """One run: `ok` of its `requests` ended as they should."""

    name: str
    requests: int
    ok: int
    took_s: float


class Count(msgspec.Struct, frozen=True):
    """Requests that a cause could have hit, and those that it did. `bound`: the greatest share of errors that
    no error among `exposed` leaves possible at 95 % confidence; null where there was one, or nothing exposed.
    """

    exposed: int
    errors: int
    bound: float | None


class InLife(msgspec.Struct, frozen=True):
    """The worst share of failing re-uses where no time is scaled, in closed form."""

    share: float
    keep_alive_s: float
    idle_timeout_s: float
    round_trip_s: float
    balancer_latency_s: float


class Row(msgspec.Struct, frozen=True):
    """One predicted cause. `taken_back`: after the fix, but for this cause's own edits; null: not needed."""

    cause: str
    predicted: str
    verdict: Verdict
    why: str
    before: Count
    after: Count
    taken_back: Count | None
    in_life: InLife | None


class Other(msgspec.Struct, frozen=True):
    """Failures of a cause that `check` did not predict; `example` is one of them in words."""

    cause: str
    before: int
    after: int
    example: str


class Report(msgspec.Struct, frozen=True):
    """The whole answer of `keepalign prove --format json`. One run: there was nothing to fix."""

    schema: Literal[1]
    keepalign: str
    target: str
    holds: bool
    faults: list[str]
    seed: int
    servers: list[str]
    stand_ins: list[StandIn]
    scale: Scale
    traffic: list[str]
    edits: list[Edit]
    runs: list[Run]
    causes: list[Row]
    others: list[Other]


def render(proof: model.Proof, changes: Sequence[Change] = ()) -> bytes:
    """The report in UTF-8, two spaces of indent, a line end at the end."""
    return _json.written(report(proof, changes))


def schema() -> bytes:
    """JSON Schema of Report, in the form of render()."""
    return _json.schema_of(Report)


def report(proof: model.Proof, changes: Sequence[Change] = ()) -> Report:
    """The report as structs. `changes` are those of the fix; one setting that several paths share is one."""
    edits = {(change.hop, change.setting.option): change for change in changes}
    return Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        target=proof.target,
        holds=proof.holds,
        faults=list(proof.faults),
        seed=proof.seed,
        servers=list(proof.servers),
        stand_ins=[StandIn(name, why) for name, why in proof.stand_ins],
        scale=Scale(proof.factor, list(proof.rounded), list(proof.kept)),
        traffic=list(proof.traffic),
        edits=[
            Edit(change.hop, change.setting.option, change.value.seconds, list(change.causes))
            for change in edits.values()
        ],
        runs=[Run(run.name, run.requests, run.ok, run.took.seconds) for run in proof.runs],
        causes=[_row(row) for row in proof.rows],
        others=[Other(other.cause, other.before, other.after, other.example) for other in proof.others],
    )


_VERDICTS: Final[dict[model.Verdict, Verdict]] = {
    model.Verdict.SEEN: "seen",
    model.Verdict.HIDDEN: "hidden",
    model.Verdict.NOT_SHOWABLE: "not_showable",
    model.Verdict.EXPLAINED: "explained",
    model.Verdict.NOT_SEEN: "not_seen",
    model.Verdict.NOT_CURED: "not_cured",
}


def _row(row: model.Row) -> Row:
    return Row(
        cause=row.cause,
        predicted=row.predicted,
        verdict=_VERDICTS[row.verdict],
        why=row.why,
        before=_count(row.before),
        after=_count(row.after),
        taken_back=_count(row.taken_back) if row.taken_back is not None else None,
        in_life=_in_life(row.in_life) if row.in_life is not None else None,
    )


def _count(count: model.Count) -> Count:
    return Count(count.exposed, count.errors, count.bound)


def _in_life(rate: model.InLife) -> InLife:
    times = (rate.keep_alive, rate.idle, rate.round_trip, rate.latency)
    return InLife(rate.share, *(time.seconds for time in times))
