"""Nested blocks and arguments of one resource instance, with `dynamic` blocks expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from keepalign.model.setting import Unknown
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers._reader import Read
from keepalign.readers.terraform.instances import Instance, each_keys
from keepalign.readers.terraform.module import Module
from keepalign.readers.terraform.nodes import Name
from keepalign.readers.terraform.sites import argument_site, read_seconds
from keepalign.readers.terraform.structure import Block, Body
from keepalign.readers.terraform.values import (
    Fields,
    Items,
    Reference,
    Scope,
    Stop,
    Unresolved,
    Value,
    number_of,
    text_of,
    unresolved_of,
)


class Arguments(Protocol):
    """What a resource, or a nested block of it, is given: in HCL a Section, in a plan its planned values."""

    @property
    def place(self) -> Span: ...

    @property
    def unknown(self) -> str:
        """Why nobody knows whether it is there at all; empty when it is."""
        ...

    def value(self, name: str) -> Value | None:
        """The value of an argument; None when it is not written."""
        ...

    def seconds(self, name: str, option: str = "") -> Read:
        """A timeout; `option` is its name for people when that is longer than `name`."""
        ...

    def text(self, name: str) -> str | None:
        """A text; None when it is absent or unknown."""
        ...

    def number(self, name: str) -> int | None:
        """A whole number; None when it is absent, unknown or no whole number."""
        ...

    def sections(self, kind: str) -> Iterator[Arguments]:
        """The nested blocks of one type, in order; one that may be there is given with `unknown`."""
        ...

    def note(self, span: Span | None, text: str) -> None:
        """Keep a note once, however often it is met."""
        ...


@dataclass(frozen=True, slots=True)
class Section:
    """A block as it counts for one instance. `unknown`: why nobody knows whether it is there at all."""

    module: Module
    block: Block
    body: Body
    scope: Scope
    unknown: str = ""

    @property
    def place(self) -> Span:
        place = self.block.span
        each = self.scope.get("each") if self.module.call is not None else None
        if each is not None:
            # An element of the call stands for what a known module makes of it, at its opening brace.
            element = fields_or_empty(each).get("value", each).place
            if element.file not in self.module.project.calls:
                place = replace(element, end=element.start + 1)
        return place

    def value(self, name: str) -> Value | None:
        """The value of an argument; None when it is not written."""
        attribute = self.body.attributes.get(name)
        if attribute is None:
            return None
        return self.module.evaluate(attribute, self.scope)

    def seconds(self, name: str, option: str = "") -> Read:
        """A timeout; `option` is its name for people when that is longer than `name`."""
        option = option or name
        if self.unknown:
            origin = Origin(OriginKind.FILE, (Step(self.place, option),))
            return Unknown(option=option, origin=origin, reason=self.unknown)
        return read_seconds(option, self.value(name), argument_site(self.block, name))

    def note(self, span: Span | None, text: str) -> None:
        """Keep a note once, however often it is met."""
        self.module.project.note(span, text)

    def text(self, name: str) -> str | None:
        """A text; None when it is absent or unknown."""
        return text_or_none(self.value(name))

    def number(self, name: str) -> int | None:
        """A whole number; None when it is absent, unknown or no whole number."""
        return whole_or_none(self.value(name))

    def references(self, name: str) -> tuple[str, ...]:
        """Addresses of the resources that an argument depends on."""
        return references(self.value(name))

    def sections(self, kind: str) -> Iterator[Section]:
        """The nested blocks of one type, in order; an unknown `dynamic` block gives one with `unknown`."""
        for block in self.body.blocks:
            if block.type == kind:
                yield Section(self.module, block, block.body, self.scope, self.unknown)
            elif block.type == "dynamic" and block.labels == (kind,):
                yield from self._dynamic(kind, block)

    def _dynamic(self, kind: str, block: Block) -> Iterator[Section]:
        content = next(block.body.of_type("content"), None)
        each = block.body.attributes.get("for_each")
        if content is None or each is None:
            return
        iterator = block.body.attributes.get("iterator")
        named = iterator.expr if iterator is not None else None
        name = named.name if isinstance(named, Name) else kind
        value = self.module.evaluate(each, self.scope)
        try:
            for key, element in _pairs(value):
                bound = Value(Fields({"key": key, "value": element}), (Step(each.span, name),))
                yield Section(self.module, content, content.body, {**self.scope, name: bound}, self.unknown)
        except Stop as stopped:
            reason = f"whether there is a {kind} block is not known: {stopped.unresolved.reason}"
            self.module.project.note(each.span, reason)
            yield Section(self.module, content, content.body, self.scope, reason)


def _pairs(value: Value) -> list[tuple[Value, Value]]:
    """Keys and values of a `dynamic` block's for_each, which also takes lists. Raises: Stop."""
    if (unresolved := unresolved_of(value.data)) is not None:
        raise Stop(unresolved)
    match value.data:
        case Items(values):
            if len(values) > 1_000:
                raise Stop(Unresolved("more than 1000 blocks"))
            return [(Value(i, element.trail[:1]), element) for i, element in enumerate(values)]
        case _:
            return [(key, element) for _, key, element in each_keys(value)]


def section(module: Module, block: Block, instance: Instance) -> Section:
    """The block of one resource instance."""
    return Section(module, block, block.body, instance.scope)


def text_or_none(value: Value | None) -> str | None:
    """A known text, number or bool as text."""
    if value is None or value.data is None:
        return None
    try:
        return text_of(value)
    except Stop:
        return None


def whole_or_none(value: Value | None) -> int | None:
    """A known whole number."""
    if value is None or value.data is None:
        return None
    try:
        number = number_of(value)
    except Stop:
        return None
    return number if isinstance(number, int) else None


def references(value: Value | None) -> tuple[str, ...]:
    """Addresses of the resources that `value` depends on, in order."""
    match value.data if value is not None else None:
        case Reference(address):
            return (address,)
        case Unresolved(refs=refs):
            return refs
        case Items(values):
            found = [ref for element in values for ref in references(element)]
            return tuple(dict.fromkeys(found))
        case _:
            return ()


def fields_or_empty(value: Value | None) -> Mapping[str, Value]:
    """The elements of a known object; none for anything else."""
    return value.data.values if value is not None and isinstance(value.data, Fields) else {}


def items_or_empty(value: Value | None) -> tuple[Value, ...]:
    """The elements of a known list; none for anything else."""
    return value.data.values if value is not None and isinstance(value.data, Items) else ()
