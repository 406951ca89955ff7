"""The counters of all objects → requests over time, the lives of targets, and what replaced them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from keepalign.logs.counting import Histogram
from keepalign.logs.objects import Scanned
from keepalign.model.diagnosis import NO_MINUTES, Deployed, Minutes, TargetLife
from keepalign.model.observation import CLIENT_CLOSED, Deployment
from keepalign.units import Instant

LIVES: Final = 500
"""Targets that a diagnosis lists."""
_MINUTE_US: Final = 60_000_000
_EDGE: Final = 3
"""Minutes at either end of the log in which the first or last sighting of a target says nothing."""
_ROLLOUT: Final = 15
"""Minutes between two removals of one deployment; ECS takes targets out in batches."""
_AHEAD: Final = 30
"""Minutes by which new targets may come before old ones go: their start, and a health check."""
_OFTEN: Final = 5
"""A target that is seen at least every so many minutes is missed when it is gone."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Args: as in model.diagnosis.Diagnosis; `deployments` known ones and inferred ones."""

    requests: Minutes = NO_MINUTES
    lives: tuple[TargetLife, ...] = ()
    deployments: tuple[Deployed, ...] = ()


@dataclass(slots=True)
class _Life:
    first: int
    last: int
    requests: int = 0
    errors: int = 0

    def add(self, minute: int, number: int, *, failed: bool) -> None:
        self.first = min(self.first, minute)
        self.last = max(self.last, minute)
        self.requests += number
        self.errors += number if failed else 0


@dataclass(slots=True)
class _Balancer:
    """What one balancer's lines say; minutes since the epoch."""

    first: int
    last: int
    lives: dict[str, _Life] = field(default_factory=dict)


def traffic_of(scanned: Iterable[Scanned], deployments: Sequence[Deployment] = ()) -> Traffic:
    """What the counters say. Args: deployments: known ones, in time order."""
    requests = Histogram()
    balancers: dict[str, _Balancer] = {}
    for each in scanned:
        for (elb, minute, target, status, _), number in each.counts.items():
            requests.add(minute, number)
            balancer = balancers.setdefault(elb, _Balancer(minute, minute))
            balancer.first = min(balancer.first, minute)
            balancer.last = max(balancer.last, minute)
            if target != "-":
                life = balancer.lives.setdefault(target, _Life(minute, minute))
                life.add(minute, number, failed=_failed(status))
    lives = sorted(
        (
            TargetLife(
                target=target, first=one.first, last=one.last, requests=one.requests, errors=one.errors
            )
            for balancer in balancers.values()
            for target, one in balancer.lives.items()
        ),
        key=lambda life: (-life.errors, -life.requests, life.target, life.first),
    )
    known = _known(deployments, _came(balancers.values()))
    inferred = [one for _, balancer in sorted(balancers.items()) for one in _inferred(balancer)]
    new = [one for one in inferred if not any(_near(one, other) for other in known)]
    return Traffic(
        requests.minutes,
        tuple(lives[:LIVES]),
        tuple(sorted([*known, *new], key=lambda one: (one.at, one.source))),
    )


def _failed(status: str) -> bool:
    """As LogRow.failed, of the status as the log writes it."""
    return len(status) == 3 and (status[0] == "5" or status in ("408", str(CLIENT_CLOSED)))


def _came(balancers: Iterable[_Balancer]) -> dict[str, int]:
    """The minute that a target, or an address, was first seen in, where it was not there from the start."""
    found: dict[str, int] = {}
    for balancer in balancers:
        for target, life in balancer.lives.items():
            if life.first > balancer.first + _EDGE:
                for name in (target, target.rpartition(":")[0]):
                    found[name] = max(life.first, found.get(name, life.first))
    return found


def _known(deployments: Sequence[Deployment], came: Mapping[str, int]) -> list[Deployed]:
    """Removals that follow each other are one deployment, until what it brought is removed itself.

    Args:
        came: when targets were first seen, if after the log's begin.
    """
    runs: list[list[Deployment]] = []
    for run in _runs([(one.at.us // _MINUTE_US, one) for one in deployments]):
        begin = 0
        for place, one in enumerate(run):
            brought = run[begin].at.us // _MINUTE_US - _EDGE
            if place > begin and one.removed and all(came.get(t, 0) >= brought for t in one.removed):
                runs.append(run[begin:place])
                begin = place
        runs.append(run[begin:])
    return [
        Deployed(
            run[0].at,
            run[-1].at,
            len({target for one in run for target in one.removed}),
            run[0].source or "as stated",
            known=True,
        )
        for run in runs
    ]


def _inferred(balancer: _Balancer) -> list[Deployed]:
    """Targets were last seen well before the log's end, and others first seen about then."""
    seen = [life for life in balancer.lives.values() if life.requests * _OFTEN > life.last - life.first]
    gone = sorted(life.last for life in seen if life.last < balancer.last - _EDGE)
    came = sorted(life.first for life in seen if life.first > balancer.first + _EDGE)
    found = []
    for run in _runs([(minute, minute) for minute in gone]):
        if any(run[0] - _AHEAD <= minute <= run[-1] + _EDGE for minute in came):
            at, until = (Instant(minute * _MINUTE_US) for minute in (run[0], run[-1] + 1))
            source = "inferred: targets were seen no more, and new ones were"
            found.append(Deployed(at, until, len(run), source, known=False))
    return found


def _runs(items: Iterable[tuple[int, _T]]) -> list[list[_T]]:
    """Items by their minute, in runs without a gap of more than a rollout's."""
    runs: list[list[_T]] = []
    last: int | None = None
    for minute, item in items:
        if last is None or minute - last > _ROLLOUT:
            runs.append([])
        runs[-1].append(item)
        last = minute
    return runs


def _near(one: Deployed, other: Deployed) -> bool:
    reach = _ROLLOUT * _MINUTE_US
    return one.at.us <= other.until.us + reach and other.at.us <= one.until.us + reach
