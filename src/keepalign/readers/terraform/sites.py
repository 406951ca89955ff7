"""Values to Reads: where a timeout is written, and where another value would be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.readers._reader import Absent, Read
from keepalign.readers.terraform.nodes import ObjectExpr
from keepalign.readers.terraform.structure import Block, QuotedText
from keepalign.readers.terraform.trails import snippet
from keepalign.readers.terraform.values import (
    Fields,
    JsonObject,
    Stop,
    Value,
    number_of,
    number_text,
    unresolved_of,
)
from keepalign.units import Duration

# Behind an argument only a comment may stand on its line.
_REST: Final = re.compile(rb"[ \t]*(,?)[ \t]*(?:(?:#|//)[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/[ \t]*)?(?=\r?\n|\Z)")
_MAX_SECONDS: Final = 10**12


def read_seconds(option: str, value: Value | None, absent: Site | None) -> Read:
    """A whole number of seconds, as an argument or a JSON element says it.

    Args:
        value: None when nobody wrote it.
        absent: where it could be written.
    """
    if value is None:
        return Absent(option, absent)
    site = value.unwritten or (None if value.within else Site(value.literal or value.place))
    if value.data is None:
        # `idle_timeout = null` says nothing, and a second argument of the name would be an error.
        return Absent(option, site)
    reason = ""
    if (unresolved := unresolved_of(value.data)) is not None:
        reason = unresolved.reason
    else:
        try:
            number = number_of(value)
        except Stop as stopped:
            reason = stopped.unresolved.reason
        else:
            if isinstance(number, int) and 0 <= number <= _MAX_SECONDS:
                return Explicit(
                    option=option, origin=origin(option, value), site=site, value=Duration.of(s=number)
                )
            reason = f"{number_text(number)} is not a whole number of seconds"
    return Unknown(option=option, origin=origin(option, value), site=site, reason=reason)


def origin(option: str, value: Value) -> Origin:
    """The trail of `value`, from its use to the literal that writes it."""
    steps = [Step(value.trail[0].span, option), *value.trail[1:]]
    last, literal = steps[-1].span, value.literal
    # A quoted literal lies one byte inside its own step.
    if literal is not None and not (
        last.file == literal.file and literal.start - last.start <= 1 and last.end - literal.end <= 1
    ):
        steps.append(Step(literal, snippet(_scalar(value))))
    return Origin(OriginKind.FILE, tuple(_without_repeats(steps)))


def _scalar(value: Value) -> str:
    data = value.data
    return number_text(data) if isinstance(data, int | float) else str(data)


def _without_repeats(steps: list[Step]) -> list[Step]:
    return [step for i, step in enumerate(steps) if i == 0 or step.span != steps[i - 1].span]


def argument_site(block: Block, name: str) -> Site | None:
    """Where a new argument of `block` would be written: behind its last argument, else behind its brace."""
    if block.written is not None:
        return _object_site(block.written, name)
    data = block.source.data
    last = block.last
    line_end = b"\r\n" if b"\r\n" in data[block.start : block.end] else b"\n"
    if last is not None:
        if b"\n" not in data[block.open_end : last.start]:
            return None  # `x { a = 1 }`: one line holds one argument only
        indent = _indent(data, last.start)
        rest = _REST.match(data, last.end)
        at = rest.end() if rest is not None and not rest[1] else last.end
        equals = data.index(b"=", last.start) - last.start - 1
        return _insert(block.source, at, f"{line_end.decode()}{indent}{name.ljust(equals)} = {{value}}")
    indent = _indent(data, block.start) + "  "
    single_line = b"\n" not in data[block.open_end : block.end]
    closing = line_end.decode() + _indent(data, block.start) if single_line else ""
    return _insert(block.source, block.open_end, f"{line_end.decode()}{indent}{name} = {{value}}{closing}")


def element_site(fields: Fields, name: str) -> Site | None:
    """Where a new element of the literal object behind `fields` would be written; None when there is none."""
    match fields.written:
        case ObjectExpr() as written:
            return _object_site(written, name)
        case JsonObject() as written:
            return _json_site(written, name)
        case None:
            return None


@dataclass(frozen=True, slots=True)
class _Line:
    """The line on which an element starts, when the element is the first thing on it."""

    indent: str
    alone: bool


def _line(data: bytes, at: int) -> _Line:
    begin = at
    while data[begin - 1 : begin] in (b" ", b"\t"):
        begin -= 1
    return _Line(data[begin:at].decode("ascii"), data[begin - 1 : begin] in (b"", b"\n"))


def _object_site(written: ObjectExpr, name: str) -> Site | None:
    data, source = written.source.data, written.source
    if isinstance(source, QuotedText):
        return None
    if source.file.endswith(".json"):
        if not written.items:
            return None
        first, last = written.items[0], written.items[-1]
        return _json_site(JsonObject(source, first.start, last.end), name)
    if not written.items:
        return _insert(source, written.start + 1, f" {name} = {{value}} ")
    last = written.items[-1]
    line = _line(data, last.start)
    rest = _REST.match(data, last.end)
    between = data[last.key.end : last.value.start].strip()
    if line.alone and rest is not None:
        if between == b":":
            text = f"{name}: {{value}}"
        else:
            equals = data.index(b"=", last.key.end) - last.start - 1
            text = f"{name.ljust(equals)} = {{value}}"
        line_end = "\r\n" if data[rest.end() : rest.end() + 1] == b"\r" else "\n"
        return _insert(source, rest.end(), f"{line_end}{line.indent}{text}{rest[1].decode()}")
    mark = ": " if between == b":" else " = "
    return _insert(source, last.end, f", {name}{mark}{{value}}")


def _json_site(written: JsonObject, name: str) -> Site:
    # Behind the last element.
    data = written.source.data
    line = _line(data, written.first_key)
    lead = f",\n{line.indent}" if line.alone else ", "
    return _insert(written.source, written.last_end, f'{lead}"{name}": {{value}}')


def _indent(data: bytes, at: int) -> str:
    begin = data.rfind(b"\n", 0, at) + 1
    line = data[begin:at]
    return line[: len(line) - len(line.lstrip(b" \t"))].decode("ascii", "replace")


def _insert(source: SourceText, at: int, template: str) -> Site:
    return Site(source.span(at, at), template)
