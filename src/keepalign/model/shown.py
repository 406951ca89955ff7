"""What running a scenario came to. The input of `reports.shown`."""

from __future__ import annotations

from dataclasses import dataclass

from keepalign.units import Duration


@dataclass(frozen=True, slots=True)
class Failure:
    """Requests of one run that failed by one cause: how many, with which statuses, and how it looked.

    `statuses` are what clients got: "502", "cut" for a body that ended early, "none" for no answer.
    """

    cause: str
    count: int
    statuses: tuple[str, ...]
    how: str


@dataclass(frozen=True, slots=True)
class ShownRun:
    """One run of a scenario.

    Args:
        name: "broken" or "fixed".
        predicted: the causes that `check` finds in the stack.
        requests: sent; `failures` are those that did not end as they should, commonest first.
        killed: processes that got SIGKILL because their stop timeout had passed.
        took: wall time of the load.
    """

    name: str
    predicted: tuple[str, ...]
    requests: int
    failures: tuple[Failure, ...]
    killed: int
    took: Duration

    @property
    def failed(self) -> int:
        """Requests that failed, by whatever cause."""
        return sum(failure.count for failure in self.failures)

    def errors(self, cause: str) -> int:
        """Requests that failed by `cause`."""
        return sum(failure.count for failure in self.failures if failure.cause == cause)


@dataclass(frozen=True, slots=True)
class Shown:
    """One scenario on one server: the runs, and why they do not show what they should.

    Args:
        shows: the status that the broken stack should show, or "kill".
        servers: what ran: "nginx 1.22.1".
        factor: all times but the round trip were divided by it.
        runs: broken before fixed; one of them alone where only that was asked for.
        faults: one sentence each; empty when the broken run failed by the cause, as `check` predicts, and the
            fixed one did not fail.
    """

    slug: str
    title: str
    says: str
    shows: str
    server: str
    servers: tuple[str, ...]
    factor: int
    round_trip: Duration
    seed: int
    runs: tuple[ShownRun, ...]
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """The fault was shown, and the cure ends it."""
        return not self.faults

    def evidence(self, run: ShownRun) -> int:
        """What `run` shows of the cause: failed requests, or killed processes."""
        return run.killed if self.shows == "kill" else run.errors(self.slug)
