"""The properties of one resource, or of a mapping in one: read by name, whatever computes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keepalign.model.source import Span
from keepalign.readers._reader import Read
from keepalign.readers._yaml import Fields, insertion
from keepalign.readers.cloudformation.scope import Scope
from keepalign.readers.cloudformation.sites import Attributes, read_seconds
from keepalign.readers.cloudformation.values import (
    Either,
    Lost,
    Many,
    Parts,
    Reference,
    Value,
    choices,
    pattern_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Properties:
    """A mapping in one stack.

    Args:
        fields: None where it is not written; then nothing is.
        place: of the mapping, else of what holds it.
        unsure: a condition that only a deploy decides may drop it.
    """

    scope: Scope
    fields: Fields | None
    place: Span
    unsure: bool = False

    def value(self, name: str) -> Value | None:
        """What a property is worth; None when it is absent."""
        node = self.fields.get(name) if self.fields is not None else None
        if node is None:
            return None
        found = self.scope.value(node)
        return found if found.data is not None else None

    def text(self, name: str) -> str | None:
        """A text; None when it is absent or unknown."""
        return text_of(self.value(name))

    def pattern(self, name: str) -> str | None:
        """A text with "*" for every unknown piece; None when it is absent."""
        return pattern_of(self.value(name))

    def whole(self, name: str) -> int | None:
        """A whole number; None when it is absent or unknown."""
        text = (self.text(name) or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def seconds(self, name: str, option: str, *, written: bool = True) -> Read:
        """A property that is a number of seconds. `written`: it could be added here."""
        absent = None
        if written and self.fields is not None:
            entry = f'"{name}": {{value}}' if self.fields.flow else f"{name}: {{value}}"
            absent = insertion(self.scope.template.source, self.fields, entry)
        fixed = self.scope.template.generated
        return read_seconds(option, name, self.value(name), absent, fixed=fixed)

    def attributes(self, name: str) -> Attributes:
        """A list of keys and values."""
        source, fixed = self.scope.template.source, self.scope.template.generated
        return Attributes(source, self.fields, name, self.value(name), fixed=fixed)

    def section(self, name: str) -> Properties:
        """A mapping below this one; empty when it is absent or unknown."""
        found = self.value(name)
        data = found.data if found is not None else None
        place = found.place if found is not None else self.place
        if isinstance(data, Parts):
            return Properties(data.scope, data.fields, place, self.unsure)
        return Properties(self.scope, None, place, self.unsure)

    def items(self, name: str) -> list[Value]:
        """The elements of a list; empty when it is absent or unknown. Undecided ones are kept as they are."""
        found = self.value(name)
        if found is None:
            return []
        if isinstance(found.data, Either):
            alike = [one for one in choices(found) if isinstance(one.data, Many)]
            return [item for one in alike for item in _many(one)]
        return _many(found)

    def sections(self, name: str) -> Iterator[Properties]:
        """The mappings of a list, each that a condition may pick too."""
        for item in self.items(name):
            for one in choices(item):
                if isinstance(one.data, Parts):
                    unsure = self.unsure or one is not item
                    yield Properties(one.data.scope, one.data.fields, one.place, unsure)

    def open(self, name: str) -> bool:
        """Whether a list may hold more than `sections` gives."""
        found = self.value(name)
        held = [found, *self.items(name)] if found is not None else []
        return any(isinstance(one.data, Lost | Reference) for item in held for one in choices(item))


def _many(value: Value) -> list[Value]:
    return list(value.data.items) if isinstance(value.data, Many) else []
