"""One stack, given as a plan and as the files that it was made of.

Both readings name the same resources. The plan knows each value, after every variable, whatever it was given
on the command line; the files are where a value is written and can be changed. So values are the plan's, and
places the files'. What was edited since counts as the files have it: the plan was made before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias, TypeVar

from keepalign.model.setting import Default, Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Span
from keepalign.readers._aws import (
    AwsFragment,
    Container,
    Distribution,
    DistributionOrigin,
    Listener,
    ListenerRule,
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
)
from keepalign.readers._reader import Absent, CommandLine, Note, Read

Resource: TypeAlias = LoadBalancer | Listener | TargetGroup | TaskDefinition | Service | Distribution
Element: TypeAlias = Container | ServiceTarget | ListenerRule | DistributionOrigin
T = TypeVar("T", bound=Resource)
P = TypeVar("P", bound=Resource | Element)

# Fields that are empty also when only an apply can know them.
_MAYBE_UNKNOWN: Final = frozenset(
    {
        "containers",
        "domain",
        "family",
        "hosts",
        "kind",
        "load_balancer",
        "name",
        "paths",
        "origin_id",
        "port",
        "priority",
        "spot",
        "target_group",
        "targets",
        "task_definition",
    }
)
READS: Final = (Explicit, Default, Disabled, Unlimited, Unknown, Absent)

_MOSTLY: Final = 0.5
_KEY: Final = re.compile(r'\[(?:[0-9*]+|"(?:[^"\\]|\\.)*")\]')


def combine(
    plans: Sequence[AwsFragment],
    modules: Sequence[AwsFragment],
    unedited: Sequence[AwsFragment],
) -> list[AwsFragment]:
    """Every stack once: modules with the values of their plans, modules without a plan, plans without files.

    A plan belongs to the root module in whose folder it lies, when they share resources; else to the one
    of which most is in the plan, at least half, under no other name. Where as much is of several, nothing
    says which one it is of, and the plan stands for all of them.

    Args:
        modules, unedited: the root modules as they are now, and before any edit.
    """
    stacks: dict[str, AwsFragment] = {module.file: module for module in modules}
    originals = {module.file: module for module in unedited}
    alone: list[AwsFragment] = []
    taken: set[str] = set()
    for plan in plans:
        same = [one for one in _same(plan, modules) if one.file not in taken]
        taken |= {one.file for one in same}
        if len(same) == 1:
            (module,) = same
            before = originals.get(module.file, module)
            stacks[module.file] = _Combiner(plan, module, before).fragment()
            continue
        for module in same:
            del stacks[module.file]
        folders = " and ".join(one.file for one in same)
        lost = (
            f"{folders} describe the same resources as {plan.file}, and were passed over: give only its own"
        )
        alone.append(replace(plan, notes=(*plan.notes, Note(None, lost))) if same else plan)
    return [*stacks.values(), *alone]


def _same(plan: AwsFragment, modules: Sequence[AwsFragment]) -> list[AwsFragment]:
    planned = _names(plan)
    folder = os.path.dirname(plan.file) or "."
    alike: dict[str, float] = {}
    for module in modules:
        written = _names(module)
        shared = planned.keys() & written.keys()
        if shared and os.path.normpath(module.file) == folder:
            return [module]
        # Every second stack calls its balancer aws_lb.this: an address says little, a name more.
        other = any(
            None not in (planned[one], written[one]) and planned[one] != written[one] for one in shared
        )
        alike[module.file] = 0 if other or not shared else len(shared) / len(written)
    most = max(alike.values(), default=0)
    return [one for one in modules if most >= _MOSTLY and alike[one.file] == most]


def _names(fragment: AwsFragment) -> dict[str, str | None]:
    """Of all resources, by their addresses without the keys of instances; None where it has or tells none."""
    named: list[tuple[str, str | None]] = [
        *((one.address, one.name) for one in fragment.load_balancers),
        *((one.address, None) for one in fragment.listeners),
        *((one.address, one.name) for one in fragment.target_groups),
        *((one.address, one.family) for one in fragment.task_definitions),
        *((one.address, one.name) for one in fragment.services),
        *((one.address, None) for one in fragment.distributions),
    ]
    return {_KEY.sub("", address): name if _KEY.search(address) is None else None for address, name in named}


@dataclass(slots=True)
class _Combiner:
    """`before` is `module` as its files are on disk; they differ where edits are tried."""

    plan: AwsFragment
    module: AwsFragment
    before: AwsFragment
    notes: dict[Note, None] = field(default_factory=dict)
    filled: list[str] = field(default_factory=list)

    def fragment(self) -> AwsFragment:
        plan, module, before = self.plan, self.module, self.before
        combined = replace(
            plan,
            file=module.file,
            load_balancers=self._each(plan.load_balancers, module.load_balancers, before.load_balancers),
            listeners=self._each(plan.listeners, module.listeners, before.listeners),
            target_groups=self._each(plan.target_groups, module.target_groups, before.target_groups),
            task_definitions=self._each(
                plan.task_definitions, module.task_definitions, before.task_definitions
            ),
            services=self._each(plan.services, module.services, before.services),
            distributions=self._each(plan.distributions, module.distributions, before.distributions),
        )
        kept = [n for n in plan.notes if n.span is None or not n.span.name.startswith(tuple(self.filled))]
        return replace(combined, notes=(*kept, *self.notes))

    def _each(self, planned: tuple[T, ...], written: tuple[T, ...], before: tuple[T, ...]) -> tuple[T, ...]:
        now, then = {one.address: one for one in written}, {one.address: one for one in before}
        for one in written:
            if one.address not in {other.address for other in planned} and "[*]" not in one.address:
                text = f"{one.address} is not in {self.plan.file}, and was passed over"
                self.notes[Note(one.place, text)] = None
        return tuple(
            self._item(one, now[one.address], then.get(one.address, now[one.address]))
            if one.address in now
            else one
            for one in planned
        )

    def _item(self, planned: P, written: P, before: P) -> P:
        """The same resource, container, target or rule in its three readings."""
        # Any: each field keeps its own type, as all three readings are of one class.
        changes: dict[str, Any] = {}
        for each in fields(planned):
            parts = [getattr(one, each.name) for one in (planned, written, before)]
            changes[each.name] = self._part(each.name, *parts)
        if isinstance(planned, TaskDefinition) and changes["containers"] and not planned.containers:
            self.filled.append(f"{planned.address}.container_definitions")
        if isinstance(planned, Listener) and changes["target_groups"] != planned.target_groups:
            self.filled.append(f"{planned.address}.")
        if isinstance(planned, ListenerRule):
            known = changes["target_groups"] == planned.target_groups, changes["paths"] == planned.paths
            self.filled += [] if all(known) else [f"{planned.address}."]
        return replace(planned, **changes)

    def _part(self, name: str, planned: object, written: object, before: object) -> object:
        """One field: the plan's, but places and what only the files know."""
        match planned:
            case Explicit() | Unknown() | Absent() if isinstance(written, READS):
                return self._read(planned, written, before)
            case CommandLine() if isinstance(written, CommandLine):
                edited = isinstance(before, CommandLine) and _words(written) != _words(before)
                return written if edited or _words(written) == _words(planned) else planned
            case Span():
                return written if isinstance(written, Span) else planned
            case bool() if name == "unknown_target":
                return planned and written
            case tuple() if name in ("default_groups", "target_groups") and isinstance(written, tuple):
                return tuple(dict.fromkeys([*planned, *written]))
            case None | "*" | () if name in _MAYBE_UNKNOWN:
                return written
            case tuple() if isinstance(written, tuple) and isinstance(before, tuple):
                elements = tuple(self._element(one, written, before) for one in planned)
                # A plan need not know whose a rule is; then only the files' listener has it.
                same = {_name(one) for one in planned if isinstance(one, ListenerRule)}
                rules = [one for one in written if isinstance(one, ListenerRule) and _name(one) not in same]
                return (*elements, *rules)
            case _:
                return planned

    def _element(self, planned: object, written: tuple[object, ...], before: tuple[object, ...]) -> object:
        """A container, a target or a rule with its counterpart in the files, if that is only one."""
        if not isinstance(planned, Element):
            return planned
        now = [one for one in written if isinstance(one, type(planned)) and _name(one) == _name(planned)]
        then = [one for one in before if isinstance(one, type(planned)) and _name(one) == _name(planned)]
        return self._item(planned, now[0], (then or now)[0]) if len(now) == 1 else planned

    def _read(self, planned: Read, written: Read, before: object) -> Read:
        if isinstance(before, READS) and _says(written) != _says(before):
            return written
        match planned, written:
            case Explicit(value=value), Explicit(value=other):
                if value == other:
                    return written
                where = planned.origin.literal
                text = (
                    f"{where.place if where is not None else planned.option} is {value}, and in this file"
                    f" {other}: the plan counts; make it anew if the file was changed since"
                )
                self.notes[Note(written.origin.literal, text)] = None
                return planned
            case Explicit(value=value), Default(value=other) if value == other:
                return written
            case Explicit(), Absent() | Unknown() | Default():
                return replace(planned, site=written.site)
            case Absent(), Absent() | Default():
                return written
            case _:
                return planned


def _name(one: Element) -> tuple[str | None, int | None]:
    """What tells it from the others of its task, service, listener or distribution."""
    match one:
        case ListenerRule():
            return one.address, None
        case Container():
            return one.name, None
        case DistributionOrigin():
            return one.origin_id, None
        case _:
            return one.container_name, one.container_port


def _words(line: CommandLine) -> list[str | None]:
    return [word.text for word in line.words]


def _says(read: Read) -> tuple[type, object]:
    """What a Read comes to, wherever it is written: an edit above it moves its place."""
    return type(read), read.value if isinstance(read, Explicit | Default) else None
