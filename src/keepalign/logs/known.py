"""What is known beside the rows: timers by whoever told them, and what a stack's configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from keepalign.model.diagnosis import GroupTimers, Remedy
from keepalign.model.finding import Mitigation
from keepalign.model.observation import Evidence, Timers
from keepalign.units import Duration

STATED: Final = "as stated"
"""Where timers are from that the user gave one by one."""


def name_of(arn: str) -> str:
    """A target group's name, of its ARN; empty when it is none."""
    return arn.partition(":targetgroup/")[2].partition("/")[0]


def short(group: str) -> str:
    """A target group's name, of its ARN."""
    return name_of(group) or group or "no target group"


def common(timers: Sequence[Timers]) -> Timers:
    """What all of them agree on; at least one."""
    first = timers[0]
    return Timers(
        **{
            name: getattr(first, name)
            for name in Timers.__slots__
            if all(getattr(one, name) == getattr(first, name) for one in timers)
        }
    )


@dataclass(frozen=True, slots=True)
class Advice:
    """What the configuration says about a cause; empty where it says nothing.

    Args:
        holds: why the rule of this cause holds, or cannot be decided, as a sentence; empty beside a remedy.
    """

    remedies: tuple[Remedy, ...] = ()
    mitigation: Mitigation | None = None
    order: tuple[str, ...] = ()
    holds: str = ""


@dataclass(frozen=True, slots=True)
class Configured:
    """What a stack's configuration says.

    Args:
        source: the paths as the user gave them, for a shell.
        timers: by target group name; "" for every group where the stack has one only.
        found: by target group name, likewise, and cause.
        names: of the target groups that have a name.
        notes: what could not be told apart, or not be read.
    """

    source: str
    timers: Mapping[str, Timers] = field(default_factory=dict)
    found: Mapping[tuple[str, str], Advice] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def advice(self, cause: str, groups: Sequence[str]) -> Advice:
        """About a cause that `groups` (ARNs) have, the worst first."""
        for group in (*groups, ""):
            for name in (name_of(group), ""):
                if (name, cause) in self.found:
                    return self.found[name, cause]
        return Advice()

    def doubt(self, groups: Sequence[str]) -> str:
        """What has to be so for its only target group to be that of the log (ARNs); empty: it is."""
        theirs = self._unknown(groups) if "" in self.timers else ""
        return f"if {', '.join(self.names)} there is {theirs} of the log" if theirs else ""

    def _unknown(self, groups: Sequence[str]) -> str:
        other = sorted({name for group in groups if (name := name_of(group))} - set(self.names))
        return ", ".join(other) if self.names else ""

    def strangers(self, groups: Sequence[str]) -> tuple[str, ...]:
        """Notes about target groups (ARNs) of the log that the configuration does not have."""
        ours, theirs = ", ".join(self.names), self._unknown(groups)
        if not theirs:
            return ()
        if "" in self.timers:
            return (f"{self.source} has one target group, {ours}; it was taken for {theirs} of the log",)
        return (f"{self.source} has the target groups {ours}; nothing in it is for {theirs} of the log",)


@dataclass(frozen=True, slots=True)
class Known:
    """Timers, by whoever told them.

    Args:
        stated: by target group name or ARN; "" for all others.
        seen: by ARN: the idle timeout read off the rows, and how many rows show it.
    """

    evidence: Evidence
    stated: tuple[GroupTimers, ...] = ()
    seen: Mapping[str, tuple[Duration, int]] = field(default_factory=dict)
    configured: Configured | None = None

    @property
    def timers(self) -> tuple[GroupTimers, ...]:
        """All of them, with where they are known from."""
        seen = [
            GroupTimers(group, Timers(idle_timeout=idle), f"read off {_lines(number)}")
            for group, (idle, number) in self.seen.items()
        ]
        return (*self.stated, *seen)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read off the rows, and what was not stated one by one."""
        values: dict[Duration, list[str]] = {}
        for group, (idle, _) in self.seen.items():
            values.setdefault(idle, []).append(group)
        found = []
        for idle, groups in sorted(values.items()):
            number = sum(self.seen[group][1] for group in groups)
            of = f" of {', '.join(map(short, groups))}" if len(values) > 1 else ""
            found.append(
                f"idle timeout of the balancer{of}: {idle}, read off {_lines(number)}; --idle-timeout"
                " overrules it"
            )
        for one in self.stated:
            if one.source != STATED:
                of = f" of {short(one.group)}" if one.group else ""
                found.append(f"timers{of}, from {one.source}: {_told(one.timers)}")
        return (*found, *(self.configured.notes if self.configured is not None else ()))

    def of(self, groups: Sequence[str]) -> Timers:
        """Of target groups, by their ARNs: what is the same for all of them."""
        # A group without an error of silence tells no idle timeout; its balancer's is likely the same.
        seen = {idle for idle, _ in self.seen.values()}
        likely = next(iter(seen)) if len(seen) == 1 else None
        found: list[Timers] = []
        for group in groups or ("",):
            timers = self.evidence.timers_of(group)
            if timers.idle_timeout is None:
                idle = self.seen[group][0] if group in self.seen else likely
                timers = replace(timers, idle_timeout=idle)
            found.append(timers)
        return common(found)


def _lines(number: int) -> str:
    return f"{number} lines" if number > 1 else "one line"


_NAMES: Final = {"keep_alive": "keep-alive timeout", "proxy_read": "proxy's read timeout"}


def _told(timers: Timers) -> str:
    known = [(name, getattr(timers, name)) for name in Timers.__slots__]
    return ", ".join(
        f"{_NAMES.get(name, name.replace('_', ' '))} {value}"
        for name, value in known
        if isinstance(value, Duration)
    )
