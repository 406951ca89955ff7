"""Values to Reads: where a length of time is written, and where another value would be."""

from __future__ import annotations

import re
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import Fields, Items, insertion
from keepalign.readers.cloudformation.values import Either, Many, Parts, Value, choices, reason_of
from keepalign.units import Duration

_WHOLE: Final = re.compile(r"[0-9]{1,9}")


def read_seconds(option: str, word: str, value: Value | None, absent: Site | None, *, fixed: bool) -> Read:
    """A whole number of seconds.

    Args:
        option: as keepalign's defaults name it.
        word: as CloudFormation does.
        value: None when nobody wrote it.
        absent: where it could be written.
        fixed: no edit of the file lasts.
    """
    if value is None or value.data is None:
        return Absent(option, None if fixed else absent)
    site = None if fixed else Site(value.literal or value.place)
    if isinstance(value.data, Either):
        reads = [read_seconds(option, word, one, None, fixed=fixed) for one in choices(value)]
        times = {one.value if isinstance(one, Explicit) else None for one in reads}
        if len(times) == 1 and isinstance(reads[0], Explicit):
            return Explicit(option=option, origin=origin(word, value), site=site, value=reads[0].value)
    reason = reason_of(value)
    if not reason and isinstance(value.data, str):
        if _WHOLE.fullmatch(value.data.strip()):
            length = Duration.of(s=int(value.data))
            return Explicit(option=option, origin=origin(word, value), site=site, value=length)
        # The text may be anything, a secret too.
        reason = "what is written is not a whole number of seconds"
    return Unknown(option=option, origin=origin(word, value), site=site, reason=reason or "it is no number")


def origin(word: str, value: Value) -> Origin:
    """The trail of `value`, from its use to the literal that writes it."""
    steps = [Step(value.place, word), *value.trail]
    literal = value.literal
    last = steps[-1].span
    if literal is not None and isinstance(value.data, str):
        inside = last.file == literal.file and last.start <= literal.start and literal.end <= last.end
        # A plain literal, or one in quotes, is its own step.
        if not (inside and literal.start - last.start <= 1 and last.end - literal.end <= 1):
            # Anything else than a number may be a secret.
            shown = value.data if _WHOLE.fullmatch(value.data.strip()) else "the value"
            steps.append(Step(literal, shown))
    kept = [step for i, step in enumerate(steps) if i == 0 or step.span != steps[i - 1].span]
    return Origin(OriginKind.FILE, tuple(kept))


class Attributes:
    """A list of `Key` and `Value`, as balancers, listeners and target groups have it.

    Args:
        owner: the properties that the list is one of, for a list that is not there yet.
        name: of the list.
    """

    def __init__(
        self, source: SourceText, owner: Fields | None, name: str, value: Value | None, *, fixed: bool
    ) -> None:
        self._source = source
        self._owner = owner
        self._name = name
        self._value = value if value is not None and value.data is not None else None
        self._fixed = fixed

    def seconds(self, option: str, key: str) -> Read:
        """The attribute called `key`."""
        value = self._value
        if value is None:
            site = self._new_list(key) if self._owner is not None else None
            return Absent(option, None if self._fixed else site)
        if not isinstance(value.data, Many):
            return self._unknown(option, key, reason_of(value) or f"{self._name} is no list")
        found: Value | None = None
        unclear = ""
        for item in value.data.items:
            for one in choices(item):
                sure = one is item
                if not isinstance(one.data, Parts):
                    unclear = unclear or ("" if one.data is None else reason_of(one))
                    continue
                name = one.data.scope.value(one.data.fields.get("Key"))
                if name.data == key:
                    held = one.data.scope.value(one.data.fields.get("Value"))
                    found = held if sure else None
                    unclear = "" if sure else reason_of(item)
                elif not isinstance(name.data, str):
                    unclear = unclear or reason_of(name)
        if unclear:
            return self._unknown(option, key, unclear)
        written = value.data.written
        absent = self._new_item(written, key) if found is None and written is not None else None
        return read_seconds(option, key, found, absent, fixed=self._fixed)

    def _unknown(self, option: str, key: str, reason: str) -> Unknown:
        assert self._value is not None
        here = Origin(OriginKind.FILE, (Step(self._value.place, key),))
        return Unknown(option=option, origin=here, reason=reason)

    def _new_list(self, key: str) -> Site | None:
        assert self._owner is not None
        if self._owner.flow:
            entry = f'"{self._name}": [{{"Key": "{key}", "Value": "{{value}}"}}]'
        else:
            indent = " " * (self._owner.span.column - 1)
            end = "\r\n" if b"\r\n" in self._source.data else "\n"
            entry = f'{self._name}:{end}{indent}  - Key: {key}{end}{indent}    Value: "{{value}}"'
        return insertion(self._source, self._owner, entry)

    def _new_item(self, written: Items, key: str) -> Site | None:
        """In front of the list's first item."""
        source = self._source
        at = written.span.start
        if written.span.file != source.file:
            return None  # a list that the stack which nests this one passes
        if source.data[at : at + 1] == b"[":
            item = f'{{"Key": "{key}", "Value": "{{value}}"}}'
            place = source.span(at + 1, at + 1)
            if not written.items:
                return Site(place, item)
            gap = source.data[at + 1 : written.items[0].span.start]
            lead = gap.decode("utf-8", "replace") if not gap.strip(b" \t\r\n") else ""
            return Site(place, f"{lead}{item},{'' if lead else ' '}")
        if source.data[at : at + 1] != b"-":
            return None
        indent = " " * (written.span.column - 1)
        end = "\r\n" if b"\r\n" in source.data else "\n"
        text = f'- Key: {key}{end}{indent}  Value: "{{value}}"{end}{indent}'
        return Site(source.span(at, at), text)
