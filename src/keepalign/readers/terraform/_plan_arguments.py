"""The arguments of planned resources: blocks.Arguments from the values, marks and expressions of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers._reader import Absent, Read
from keepalign.readers.terraform._plan_references import Address, References, references_of
from keepalign.readers.terraform._plan_values import container_list, value_of
from keepalign.readers.terraform.blocks import text_or_none, whole_or_none
from keepalign.readers.terraform.sites import read_seconds
from keepalign.readers.terraform.values import Reference, Unresolved, Value
from keepalign.units import Duration

AFTER_APPLY: Final = "known only after apply"
SENSITIVE: Final = "marked as sensitive"
_NAMED_BY_NOTHING: Final = (
    f"{AFTER_APPLY}, and the plan does not say which resource it comes from, as with locals and dynamic"
    " blocks; give the folder of its *.tf files as well"
)
# Where nobody wrote an argument the provider plans these (its documentation of aws_lb, aws_lb_target_group:
# registry.terraform.io/providers/hashicorp/aws/latest/docs), which are the products' own defaults.
_PLANNED_DEFAULTS: Final = {
    "idle_timeout": 60,
    "client_keep_alive": 3600,
    "connection_draining_timeout": 300,
    "connection_timeout": 10,
    "deregistration_delay": 300,
    "health_check.interval": 30,
    "origin_keepalive_timeout": 5,
    "origin_read_timeout": 30,
    "tcp_idle_timeout_seconds": 350,
}
_UNWRITTEN: Final = "not in the configuration; the provider keeps it"
_PERHAPS_UNWRITTEN: Final = "the provider's default, or written so"
# Blocks times elements of one kind in one resource: a service has five of them at most.
_MANY: Final = 10_000
_IDS: Final = frozenset({
    "arn", "domain_name", "elb_name", "listener_arn", "load_balancer_arn", "target_group_arn",
    "task_definition",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estate:
    """What all resources of one plan share.

    Args:
        ids: address of the resource by its ARN or id, where these are known.
        keep_note: takes what could not be used.
    """

    ids: Mapping[str, str]
    references: References
    keep_note: Callable[[Span | None, str], None]


@dataclass(frozen=True, slots=True)
class PlannedArguments:
    """A resource instance, or a nested block of it, as planned: see blocks.Arguments.

    Args:
        spans: of the arguments; an argument that is not among them stands at `place`.
        after_apply: the same tree with true for what only an apply can know.
        marks: the same tree with true for what is sensitive, from each place that says so.
        written: the expressions of the configuration; None when the plan does not show them.
    """

    estate: Estate
    at: Address
    place: Span
    values: Mapping[str, object]
    spans: Mapping[str, Span]
    after_apply: object
    marks: tuple[object, ...]
    written: Mapping[str, object] | None
    unknown: str = ""

    def note(self, span: Span | None, text: str) -> None:
        self.estate.keep_note(span, text)

    def text(self, name: str) -> str | None:
        return text_or_none(self.value(name))

    def number(self, name: str) -> int | None:
        return whole_or_none(self.value(name))

    def value(self, name: str) -> Value | None:
        trail = (Step(self._span(name), ""),)
        refs = references_of(self.written.get(name)) if self.written is not None else ()
        if self._is_sensitive(name, refs):
            return Value(Unresolved(SENSITIVE), trail, within=True)
        data = self.values.get(name)
        missing = name not in self.values and bool(refs)
        if missing or _any(_at(self.after_apply, name)):
            found = self.estate.references.of(refs, self.at) if name in _IDS else ()
            reason = AFTER_APPLY if found or name not in _IDS else _NAMED_BY_NOTHING
            return Value(Unresolved(reason, refs=found), trail, within=True)
        if name not in self.values:
            return None
        if name in _IDS and isinstance(data, str) and data in self.estate.ids:
            return Value(Reference(self.estate.ids[data], "arn"), trail)
        if name == "container_definitions" and isinstance(data, str):
            return container_list(data, trail[0].span)
        return value_of(data, trail[0].span)

    def seconds(self, name: str, option: str = "") -> Read:
        option = option or name
        if self.unknown:
            origin = Origin(OriginKind.FILE, (Step(self.place, option),))
            return Unknown(option=option, origin=origin, reason=self.unknown)
        read = read_seconds(option, self.value(name), None)
        if self.written is not None and name in self.written:
            return read
        if not isinstance(read, Explicit):
            computed = isinstance(read, Unknown) and read.reason == AFTER_APPLY
            return Absent(option) if computed and self.written is not None else read
        is_default = read.value == Duration.of(s=_PLANNED_DEFAULTS.get(option, -1))
        if self.written is not None:
            return Absent(option) if is_default else _noted(read, _UNWRITTEN)
        return _noted(read, _PERHAPS_UNWRITTEN) if is_default else read

    def sections(self, kind: str) -> Iterator[PlannedArguments]:
        planned = self.values.get(kind)
        elements = [one for one in planned if isinstance(one, dict)] if isinstance(planned, list) else []
        place = replace(self._span(kind), name=f"{self.place.name}.{kind}")
        blocks = _blocks(self.written.get(kind)) if self.written is not None else None
        reason = ""
        if any(tree is True or _at(tree, kind) is True for tree in self.marks):
            reason = SENSITIVE
        elif _at(self.after_apply, kind) is True and blocks:
            reason = AFTER_APPLY
        if reason:
            yield replace(self, place=place, values={}, spans={}, written=None, unknown=reason)
            return
        for number, element in enumerate(elements):
            written: Mapping[str, object] | None = None
            if blocks is not None:
                # A block that the configuration does not show was made by `dynamic`, or kept by the provider.
                written = _matching(element, blocks, len(elements), number) if blocks else {}
            yield replace(
                self,
                place=place,
                values=element,
                spans={},
                after_apply=_element(_at(self.after_apply, kind), number),
                marks=tuple(_element(_at(tree, kind), number) for tree in self.marks),
                written=written,
            )

    def _span(self, name: str) -> Span:
        return self.spans.get(name) or replace(self.place, name=f"{self.place.name}.{name}")

    def _is_sensitive(self, name: str, refs: tuple[str, ...]) -> bool:
        if any(tree is True or _any(_at(tree, name)) for tree in self.marks):
            return True
        # Terraform before 0.15 marks variables only.
        silent = all(tree is None for tree in self.marks)
        return silent and bool(refs) and self.estate.references.sensitive(refs, self.at)


def _noted(read: Explicit, note: str) -> Explicit:
    return replace(read, origin=replace(read.origin, note=note))


def _at(tree: object, key: str) -> object:
    if tree is True:
        return True
    return tree.get(key) if isinstance(tree, dict) else None


def _element(tree: object, number: int) -> object:
    """Of a list; what is said of a set's elements is said of the whole set."""
    if not isinstance(tree, list):
        return tree
    return tree[number] if number < len(tree) else None


def _any(tree: object) -> bool:
    """Whether anything in `tree` is true."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if one is True:
            return True
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _blocks(written: object) -> list[Mapping[str, object]]:
    found = written if isinstance(written, list) else [written]
    return [one for one in found if isinstance(one, dict)]


def _matching(
    element: Mapping[str, object], blocks: list[Mapping[str, object]], elements: int, number: int
) -> Mapping[str, object]:
    """The block that `element` was written as. Constants decide: a set is planned in an order of its own."""
    if len(blocks) * elements > _MANY:
        return {}
    alike = [block for block in blocks if _agrees(element, block)]
    if len(alike) == 1:
        return alike[0]
    if len(blocks) == elements == 1:
        return blocks[number]
    # Any of them: then an argument refers to what all of them refer to.
    merged: dict[str, list[object]] = {}
    for block in alike:
        for name, expression in block.items():
            merged.setdefault(name, []).append(expression)
    return merged


def _agrees(element: Mapping[str, object], block: Mapping[str, object]) -> bool:
    for name, expression in block.items():
        if isinstance(expression, dict) and "constant_value" in expression:
            constant, planned = expression["constant_value"], element.get(name)
            scalars = isinstance(planned, str | int | float) and isinstance(constant, str | int | float)
            if scalars and str(constant).lower() != str(planned).lower():
                return False
    return True
