"""puma.rb: which methods of Puma's DSL it calls, with what, and whether a condition decides that it does.

Ruby is not parsed. A line that begins with a method of the DSL is a call of it; `if`, `do` and their like
open a block until `end`. People write little else there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import SourceText, Span

_CALL: Final = re.compile(rb"([a-z_]+!?)[ \t]*(?:\([ \t]*|[ \t]+)(\S.*)")
_OPENS: Final = re.compile(rb"(?:if|unless|case|while|until|begin|def|class|module)\b")
_DO: Final = re.compile(rb"\bdo[ \t]*(?:\|[^|]*\|)?[ \t]*$")
_TRAILING: Final = re.compile(rb"[ \t](?:if|unless)[ \t].*$")
_COMMENT: Final = re.compile(rb"(?:^|[ \t])#(?!\{).*$")

_NUMBER: Final = re.compile(rb"(\d[\d_]*)(?:\.(seconds?|minutes?|hours?))?(?:\.to_i)?")
_NAME: Final = rb"""["'](\w+)["']"""
_FETCH: Final = re.compile(
    rb"(?:Integer\()?ENV\.fetch\([ \t]*" + _NAME + rb"[ \t]*(?:,[ \t]*[\"']?(\w+)[\"']?[ \t]*)?\)"
    rb"(?:[ \t]*(?:\{|do)[ \t]*[\"']?(\w+)[\"']?[ \t]*(?:\}|end))?(?:\.to_i)?\)?"
)
_INDEX: Final = re.compile(
    rb"(?:Integer\()?\(?ENV\[[ \t]*"
    + _NAME
    + rb"[ \t]*\](?:[ \t]*\|\|[ \t]*[\"']?(\w+)[\"']?)?\)?(?:\.to_i)?\)?"
)
_UNITS: Final = {b"": 1, b"second": 1, b"minute": 60, b"hour": 3600}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a method of the DSL.

    Args:
        text: of its arguments, as written.
        span: of them; `place` of the whole call.
        condition: whether something decides if it is made.
    """

    name: str
    text: bytes
    span: Span
    place: Span
    condition: bool


@dataclass(frozen=True, slots=True)
class Value:
    """What an argument comes to.

    Args:
        text: None when it is not known; `reason` says why.
        site: the digits that write it; None where the environment or a unit decides.
    """

    text: str | None
    site: Span | None = None
    reason: str = ""
    variable: str = ""


def calls(source: SourceText) -> list[Call]:
    """The calls in order. Blocks that Puma runs later (`on_worker_boot do`) are passed over."""
    found: list[Call] = []
    later = 0  # levels of blocks that are no conditions
    levels: list[bool] = []
    position = 0
    for raw in source.data.split(b"\n"):
        start, position = position, position + len(raw) + 1
        line = _COMMENT.sub(b"", raw.rstrip(b"\r"))
        code = line.strip()
        if not code:
            continue
        if re.match(rb"end\b", code):
            if levels:
                later -= not levels.pop()
            continue
        if _OPENS.match(code) and not re.search(rb"\bend$", code):
            levels.append(True)
            continue
        body = _TRAILING.sub(b"", line).rstrip()
        match = _CALL.match(body.lstrip())
        opens_block = bool(_DO.search(code)) and b"ENV.fetch" not in code
        if match is not None and not later and not opens_block and b"=" not in match[2][:1]:
            offset = start + len(body) - len(body.lstrip())
            text = match[2].rstrip()
            if body.lstrip()[: match.start(2)].rstrip().endswith(b"(") and text.endswith(b")"):
                text = text[:-1].rstrip()
            begin = offset + match.start(2)
            found.append(
                Call(
                    match[1].decode(), text, source.span(begin, begin + len(text)),
                    source.span(offset, begin + len(text)), bool(levels) or body != line.rstrip(),
                )
            )  # fmt: skip
        if opens_block:
            levels.append(False)
            later += 1
    return found


def value_of(call: Call, source: SourceText, environment: Mapping[str, str | None]) -> Value:
    """A number (of seconds), or a word such as `:forever` or `false`, of a call's only argument."""
    text, start = call.text, call.span.start
    if (match := _NUMBER.fullmatch(text)) is not None:
        unit = (match[2] or b"").removesuffix(b"s")
        number = int(match[1].replace(b"_", b"")) * _UNITS[unit]
        site = source.span(start, start + match.end(1)) if not unit else None
        return Value(str(number), site)
    for pattern in (_FETCH, _INDEX):
        if (match := pattern.fullmatch(text)) is None:
            continue
        name = match[1].decode()
        group = next((n for n in range(2, pattern.groups + 1) if match[n] is not None), 0)
        if name in environment:
            given = environment[name]
            reason = "" if given is not None else f"the environment variable {name} cannot be resolved"
            return Value(given, None, reason, name)
        if not group:
            return Value(None, None, f"the environment variable {name} is not set in what was read", name)
        site = source.span(start + match.start(group), start + match.end(group))
        return Value(match[group].decode(), site, "", name)
    if re.fullmatch(rb":?[a-z_]+", text):
        return Value(text.decode())
    return Value(None, None, "it is computed when Puma starts")
