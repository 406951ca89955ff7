"""What a check came to, and what a fix would change: the input of every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keepalign.model.finding import Finding, Undecided
from keepalign.model.ladder import LadderView
from keepalign.model.setting import Setting
from keepalign.model.source import Edit, Unit
from keepalign.model.timers import Role
from keepalign.units import Duration


@dataclass(frozen=True, slots=True)
class Ok:
    """A rule holds at a place; `reason` is the comparison in words."""

    cause: str
    path: str
    hop: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A rule has nothing to say of a place; `reason` completes "not applicable: …"."""

    cause: str
    path: str
    hop: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Everything the rules say of one stack.

    Args:
        findings: worst first, then in catalogue order; one per cause and pair of settings, however many
            paths share the pair. `Finding.path` is the first of those paths.
        shared: for each finding that more than one path shares, the names of all of them.
        ladders: by the name of the path.
    """

    findings: tuple[Finding, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    ok: tuple[Ok, ...] = ()
    not_applicable: tuple[NotApplicable, ...] = ()
    shared: Mapping[Finding, tuple[str, ...]] = field(default_factory=dict)
    ladders: Mapping[str, tuple[LadderView, ...]] = field(default_factory=dict)

    def paths_of(self, finding: Finding) -> tuple[str, ...]:
        """The names of all paths that `finding` speaks of."""
        return self.shared.get(finding, (finding.path,))

    def beside(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Those of `changes` that none of the findings asks for."""
        return tuple(c for c in changes if not any(c.cures(finding) for finding in self.findings))


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that a fix gives another value.

    Args:
        path, hop, role, setting: what changes, and what it is in the files as they are.
        value: the new value.
        causes: the slugs that this change cures, the most direct first.
        follows: no finding asked for this: the cure of another would leave it standing, or break it.
        why: in words.
        cost: what else changes with it, as a sentence; empty where nothing is known.
        safe: no request that is answered now can fail by it.
    """

    path: str
    hop: str
    role: Role
    setting: Setting
    value: Duration
    causes: tuple[str, ...]
    follows: bool
    why: str
    cost: str = ""
    safe: bool = True

    def cures(self, finding: Finding) -> bool:
        """Whether `finding` asks for this change: the same setting, or one that the same literal writes."""
        return any(
            need.setting == self.setting
            or (need.setting.site is not None and need.setting.site == self.setting.site)
            for need in finding.needs
        )

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What to write where; empty when keepalign knows no place it may edit."""
        site = self.setting.site
        if site is None:
            return ()
        # Not str.format: a template may hold braces of its own (HCL).
        return tuple(
            Edit(part.span, part.template.replace("{value}", str(_whole(self.value, part.unit))))
            for part in (site, *site.also)
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """Changes that may take effect together, in a roll-out that opens no new window for errors.

    Args:
        what: what to do, as a sentence.
        why: why before the next stage.
    """

    what: str
    why: str
    changes: tuple[Change, ...]


def _whole(value: Duration, unit: Unit) -> int:
    """`value` in whole `unit`s, rounded up: products take no fractions."""
    return -(-value.us // (1_000 if unit is Unit.MILLISECONDS else 1_000_000))
