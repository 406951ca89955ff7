"""What the expressions of one file are worth, and where another value would be written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Read, Word
from keepalign.readers.cdk._expr import (
    Binary,
    Call,
    Expr,
    Listed,
    Member,
    Name,
    Number,
    Options,
    Other,
    Pieces,
    Statement,
    Stretch,
    Text,
    last_name,
)
from keepalign.units import Duration

_DEEPEST: Final = 20
_MOST: Final = 2_000
"""Pieces of one value, through all names: each of which could be written of two others."""
_LONGEST: Final = 4_000
_MICROSECONDS: Final = {
    "millis": 1_000, "seconds": 1_000_000, "minutes": 60_000_000, "hours": 3_600_000_000,
    "days": 86_400_000_000,
}  # fmt: skip
_LARGEST: Final = 10**9
_USED: Final = re.compile(rb"\b((?:[A-Za-z_]\w*\.)*Duration)\.(?:millis|seconds|minutes|hours|days)\(")
_NAMESPACE: Final = re.compile(
    rb"import\s+\*\s+as\s+(\w+)\s+from\s+[\"'](?:aws-cdk-lib|@aws-cdk/core)[\"']"
    rb"|^import\s+aws_cdk\s+as\s+(\w+)|import\s+(aws_cdk)\s*$",
    re.M,
)
_IMPORTED: Final = re.compile(
    rb"import\s{0,9}\{([^}]{0,1500})\}\s{0,9}from\s{0,9}[\"'](?:aws-cdk-lib|@aws-cdk/core)[\"']"
    rb"|^from\s+aws_cdk(?:\.core)?\s+import\s+(?:\(([^)]{0,1500})|([^(\n]{0,500}))",
    re.M,
)


@dataclass(frozen=True, slots=True)
class Found:
    """An expression behind the names that lead to it: `via` are those with the places of what they stand for;
    `use` is where it is used."""

    expr: Expr
    use: Stretch
    via: tuple[tuple[str, Stretch], ...] = ()


class Values:
    """The names of one file so far, and what they make of expressions."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.names: dict[str, Expr] = {}
        self._left = 0
        self._duration = _duration_of(source.data)
        self._python = source.file.endswith(".py")

    def assign(self, statement: Statement) -> None:
        """Keeps what a variable stands for; nothing certain once it is written twice."""
        name = statement.target
        if statement.unsure or name in self.names:
            reason = f"{name} is decided when the program runs"
            self.names[name] = Other(reason, statement.value.at)
        else:
            self.names[name] = statement.value

    def span(self, at: Stretch) -> Span:
        """Of a stretch of the file."""
        return self.source.span(*at)

    def found(self, expr: Expr) -> Found:
        """What a name stands for; any other expression is itself."""
        via: list[tuple[str, Stretch]] = []
        use = expr.at
        while isinstance(expr, Name) and expr.name in self.names and len(via) < _DEEPEST:
            meant = self.names[expr.name]
            via.append((expr.name, meant.at))
            expr = meant
        return Found(expr, use, tuple(via))

    def reason(self, expr: Expr) -> str:
        """Why an expression has no value."""
        match self.found(expr).expr:
            case Other() as other:
                return other.reason
            case Name() as name:
                return f"{name.name} is not set in this file"
            case Member() | Call():
                return "it is decided when the program runs"
            case _:
                return "it is not what this property takes"

    # Texts and numbers

    def number(self, expr: Expr | None) -> float | int | None:
        """A number, computed from constants; None when it is none."""
        self._left = _MOST
        return self._number(expr) if expr is not None else None

    def _number(self, expr: Expr, depth: int = 0) -> float | int | None:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            return None
        held = self.found(expr).expr
        if isinstance(held, Number):
            return held.number if abs(held.number) <= _LARGEST else None
        if not isinstance(held, Binary):
            return None
        left, right = self._number(held.left, depth + 1), self._number(held.right, depth + 1)
        if left is None or right is None:
            return None
        match held.sign:
            case "+":
                found: float = left + right
            case "-":
                found = left - right
            case "*":
                found = left * right
            case "/" if right:
                found = left / right
            case _:
                return None
        return found if abs(found) <= _LARGEST else None

    def whole(self, expr: Expr | None) -> int | None:
        """A whole number that is not negative."""
        number = self.number(expr)
        return int(number) if number is not None and number >= 0 and number == int(number) else None

    def text(self, expr: Expr | None) -> str | None:
        """A text; None when it is absent or unknown."""
        self._left = _MOST
        found, known = self._text(expr) if expr is not None else ("", False)
        return found if known else None

    def pattern(self, expr: Expr | None) -> str | None:
        """A text with "*" for every unknown piece; None when there is no expression."""
        self._left = _MOST
        return self._text(expr)[0] if expr is not None else None

    def _text(self, expr: Expr, depth: int = 0) -> tuple[str, bool]:
        """The pattern, and whether all of it is known."""
        self._left -= 1
        held = self.found(expr).expr
        parts: tuple[Expr, ...]
        match held:
            case Text():
                return held.text, True
            case Number():
                return str(held.number), True
            case Pieces():
                parts = held.parts
            case Binary(sign="+"):
                parts = (held.left, held.right)
            case _:
                return "*", False
        if depth > _DEEPEST or self._left < 0:
            return "*", False
        texts = [self._text(one, depth + 1) for one in parts]
        joined = "".join(text for text, _ in texts)
        return (joined, all(known for _, known in texts)) if len(joined) <= _LONGEST else ("*", False)

    # Lengths of time

    def seconds(
        self, option: str, word: str, expr: Expr | None, absent: Site | None, *, quoted: bool = False
    ) -> Read:
        """A `Duration`, or a bare number or text of seconds.

        Args:
            option: as keepalign's defaults name it.
            word: as the CDK does.
            expr: None when nobody wrote it.
            absent: where it could be written.
            quoted: a text is wanted, as an attribute is one.
        """
        if expr is None:
            return Absent(option, absent)
        found = self.found(expr)
        steps = [Step(self.span(found.use), word), *(Step(self.span(at), name) for name, at in found.via)]
        held = found.expr
        length: Duration | None = None
        literal: Stretch | None = None
        site: Site | None = None
        if isinstance(held, Call) and last_name(held.function) in _MICROSECONDS and len(held.arguments) == 1:
            (argument,) = held.arguments
            unit = last_name(held.function)
            number = self.number(argument)
            prefix = self._before(held)
            if number is not None and number >= 0 and prefix.endswith("Duration"):
                length = Duration(round(number * _MICROSECONDS[unit]))
                counted = self.found(argument)
                steps += [Step(self.span(at), name) for name, at in counted.via]
                literal = counted.expr.at
            if found.via or unit != "seconds":
                # A constant may decide something else, too.
                site = Site(self.span(found.use), f"{prefix}.seconds({{value}})")
            else:
                site = Site(self.span(argument.at))
        elif isinstance(held, Number | Text) and _is_whole(held):
            length = Duration.of(s=int(held.text if isinstance(held, Text) else held.number))
            literal = (held.inner or held.at) if isinstance(held, Text) else held.at
            site = Site(self.span(literal))
            if found.via:
                site = Site(self.span(found.use), '"{value}"' if quoted else "{value}")
        elif quoted:
            site = Site(self.span(found.use), '"{value}"')
        elif self._duration and isinstance(held, Other | Name | Member | Call):
            site = Site(self.span(found.use), f"{self._duration}.seconds({{value}})")
        if length is not None and literal is not None:
            if steps[-1].span != self.span(literal):
                steps.append(Step(self.span(literal), self._written(literal)))
            return Explicit(option=option, origin=_origin(steps), site=site, value=length)
        return Unknown(option=option, origin=_origin(steps), site=site, reason=self.reason(expr))

    def _before(self, call: Call) -> str:
        """`cdk.Duration` of `cdk.Duration.seconds(5)`."""
        function = call.function
        return self._written(function.of.at) if isinstance(function, Member) else ""

    def _written(self, at: Stretch) -> str:
        return self.source.data[at[0] : at[1]].decode("utf-8", "replace")[:60]

    # Where an absent one goes

    def duration_site(self, name: str, call: Call | None, options: Options | None) -> Site | None:
        """A further property that is a `Duration`."""
        return (
            self.entry_site(name, f"{self._duration}.seconds({{value}})", call, options)
            if self._duration
            else None
        )

    def entry_site(self, name: str, value: str, call: Call | None, options: Options | None) -> Site | None:
        """A further property of `options`, or where `call` has none, further options.

        Args:
            name: as TypeScript spells it.
            value: what to write, with "{value}".
        """
        word = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name) if self._python else name
        if options is not None and options.keywords is self._python:
            entry = f"{word}={value}" if self._python else f"{word}: {value}"
            if options.last is not None:
                return self._behind(options.last, entry)
            at = self.source.span(options.at[0] + 1, options.at[0] + 1)
            return Site(at, f" {entry} ")
        if call is None or call.last is None or options is not None:
            return None
        return self._behind(call.last, f"{word}={value}" if self._python else f"{{ {word}: {value} }}")

    def _behind(self, end: int, entry: str) -> Site:
        """Behind the last entry: on its own line where that one stands so."""
        data = self.source.data
        begin = data.rfind(b"\n", 0, end) + 1
        line = data[begin:end]
        indent = line[: len(line) - len(line.lstrip(b" \t"))]
        rest = data[end : end + 200].lstrip(b" \t,")
        lines = rest[:1] in (b"\r", b"\n") and line.strip()[:1].isalpha() and b"(" not in line.split(b"=")[0]
        lead = f",\n{indent.decode('ascii', 'replace')}" if lines else ", "
        return Site(self.source.span(end, end), f"{lead}{entry}")

    def call_site(self, statement: Statement | None, member: str, key: str) -> Site | None:
        """`lb.setAttribute(key, …)` behind the statement that makes `lb`."""
        if statement is None or not statement.target or not statement.alone or statement.unsure:
            return None
        data = self.source.data
        start, end = statement.at
        begin = data.rfind(b"\n", 0, start) + 1
        indent = data[begin:start].decode("ascii", "replace")
        target = statement.target
        if self._python:
            target = target.replace("this.", "self.")
            path = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", member)
            text = f'{target}{path}.set_attribute("{key}", "{{value}}")'
        else:
            ended = data[end - 1 : end] == b";" or data[end : end + 1] == b";"
            end += data[end : end + 1] == b";"
            text = f"{target}{member}.setAttribute('{key}', '{{value}}'){';' if ended else ''}"
        line_end = "\r\n" if b"\r\n" in data else "\n"
        return Site(self.source.span(end, end), f"{line_end}{indent}{text}")

    # Commands

    def command(self, expr: Expr | None) -> CommandLine | None:
        """A list of words."""
        if expr is None:
            return None
        found = self.found(expr)
        place = self.span(found.use)
        if not isinstance(found.expr, Listed):
            word = Word(None, place, reason=self.reason(expr))
            return CommandLine((word,), CommandStyle.LIST, place)
        words = tuple(self._word(one) for one in found.expr.items)
        items = found.expr.items
        end = self.source.span(items[-1].at[1], items[-1].at[1]) if items else None
        return CommandLine(words, CommandStyle.LIST, place, end)

    def _word(self, expr: Expr) -> Word:
        found = self.found(expr)
        text, span = self.text(expr), self.span(found.use)
        via = tuple((name, self.span(at)) for name, at in found.via)
        if text is None:
            return Word(None, span, reason=self.reason(expr), via=via)
        inner = found.expr.inner if isinstance(found.expr, Text) else None
        return Word(text, span, value_span=self.span(inner) if inner is not None else None, via=via)


def _is_whole(held: Number | Text) -> bool:
    if isinstance(held, Text):
        return held.text.isascii() and held.text.isdigit() and len(held.text) < 10
    return held.number == int(held.number) and 0 <= held.number <= _LARGEST


def _origin(steps: list[Step]) -> Origin:
    kept = [step for i, step in enumerate(steps) if i == 0 or step.span != steps[i - 1].span]
    return Origin(OriginKind.FILE, tuple(kept))


def _duration_of(data: bytes) -> str:
    """How this file writes the class of lengths of time; empty when it does not import it."""
    used = _USED.search(data)
    if used is not None:
        return used[1].decode("ascii", "replace")
    namespace = _NAMESPACE.search(data)
    if namespace is not None:
        return f"{next(name for name in namespace.groups() if name).decode('ascii', 'replace')}.Duration"
    for match in _IMPORTED.finditer(data):
        if any(re.search(rb"\bDuration\b", names) for names in match.groups() if names):
            return "Duration"
    return ""
