"""What a scenario file says: per server a broken and a fixed stack, and one load for both."""

from __future__ import annotations

from dataclasses import dataclass

from keepalign.errors import UsageError
from keepalign.model.path import RequestPath
from keepalign.units import ZERO, Duration


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests for one endpoint, all through the run.

    Args:
        path: of the URL.
        every: from one burst to the next, in life: the lab divides it by its scale.
        plus: added to it, as run: what a server needs beyond its setting, whatever the scale.
        jitter: of the time between two bursts, ±, as run.
        size: requests of a burst.
        run_for: as run.
    """

    path: str
    every: Duration
    run_for: Duration
    plus: Duration = ZERO
    jitter: Duration = ZERO
    size: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to the service: "deploy" or "stop_task", `at` after the load began, as run."""

    what: str
    at: Duration


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario on one server.

    Args:
        server: as the file calls it: "nginx", "apache-prefork".
        broken, fixed: the stack before and after the cure; hops, lifecycle and endpoints.
        shows: the status that users see ("502"), "cut" for a body that ends early, "kill" for SIGKILL.
        one_way: of the link between balancer and targets; never scaled.
        scale_at_most: the lab may divide times by no more than this.
    """

    server: str
    broken: RequestPath
    fixed: RequestPath
    traffic: tuple[Traffic, ...]
    events: tuple[Event, ...]
    shows: str
    one_way: Duration
    scale_at_most: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One cause, shown and cured on one or more servers.

    Args:
        slug: the cause.
        title: the fault, in one line.
        says: what happens.
        file: where it was read.
        cases: the first is the one that runs when none is named.
    """

    slug: str
    title: str
    says: str
    file: str
    cases: tuple[Case, ...]

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of its cases."""
        return tuple(case.server for case in self.cases)

    def on(self, server: str) -> Case:
        """The case of one server; the first for "". Raises: UsageError: there is none."""
        if not server:
            return self.cases[0]
        for case in self.cases:
            if case.server == server:
                return case
        raise UsageError(
            f"{self.slug} has no server {server!r}", hint=f"it runs on {', '.join(self.servers)}"
        )
