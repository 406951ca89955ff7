"""Runs templates over known values. Whatever is not known leaves a mark in the text, and a note."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._yaml import Fields, Items
from keepalign.readers.kubernetes.helm.functions import FUNCTIONS, Wrong
from keepalign.readers.kubernetes.helm.syntax import Action, Item, Literal, Operand, Pipe, Words, parse
from keepalign.readers.kubernetes.helm.text import Part, Text
from keepalign.readers.kubernetes.helm.values import (
    Missing,
    Value,
    child,
    pairs,
    plain_value,
    text_value,
    truth,
)
from keepalign.readers.kubernetes.layers import Layers

_DEEPEST: Final = 100
"""Blocks, templates and parentheses inside each other while they run."""
_BUDGET: Final = 250_000
"""Steps of one chart with one file of values; what is printed counts too, eight characters as one."""
_WITH_MISSING: Final = ("and", "or", "default", "coalesce", "ternary", "dict", "list", "tuple", "merge")
_BLOCKS: Final = ("nindent", "indent", "toYaml")
MARK: Final = re.compile("\ue000([0-9]+)\ue001")

FILES: Final = "keepalign.files"
VERSIONS: Final = "keepalign.versions"
"""What stands for `.Files` and `.Capabilities.APIVersions`, which have methods."""
_SERVED: Final = frozenset({
    "v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "networking.k8s.io/v1",
    "networking.k8s.io/v1/Ingress", "networking.k8s.io/v1/IngressClass", "policy/v1",
    "policy/v1/PodDisruptionBudget", "rbac.authorization.k8s.io/v1",
})  # fmt: skip
"""What every cluster of the last years serves."""


class Spent(Exception):
    """A template does more than any chart has to do. Never leaves this package."""


@dataclass(slots=True)
class _Frame:
    """One template at work. `at`: of a text that `tpl` was given, the call: its own places are nowhere."""

    source: SourceText
    variables: dict[str, Value]
    at: Span | None = None

    def place(self, action: Action) -> Span:
        """Where an action is written."""
        return self.at or action.span


class Engine:
    """The templates of one chart, with those of its sub-charts.

    Args:
        sources: all texts by file.
        read: the text of a file of the chart, for `.Files.Get`; None for none.
    """

    def __init__(self, sources: Layers, read: Callable[[str], str | None]) -> None:
        self.marks: list[str] = []
        self.unknown: dict[Span, str] = {}
        self._sources = sources
        self._read = read
        self._defined: dict[str, tuple[Sequence[Item], SourceText]] = {}
        self._left = _BUDGET
        self._depth = 0

    def add(self, source: SourceText) -> list[Item]:
        """The items of a template; what it defines is known from now on. Raises: ReadError."""
        items = parse(source)
        # By its path too: charts put the hash of one template into another.
        self._defined.setdefault(source.file, (items, source))
        waiting = list(items)
        while waiting:
            one = waiting.pop()
            if isinstance(one, Action):
                if one.what in ("define", "block"):
                    self._defined[one.name] = (one.body[0].items, source)
                for branch in one.body:
                    waiting += branch.items
        return items

    def render(self, items: Sequence[Item], source: SourceText, context: Mapping[str, Value]) -> list[Part]:
        """What a template prints. Raises: Spent."""
        out: list[Part] = []
        data: Value = dict(context)
        self._depth = 0
        self._run(items, _Frame(source, {"$": data}), data, out)
        return out

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise Spent("it prints more than any chart")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Spent(f"its blocks and templates are more than {_DEEPEST} levels deep")

    def _run(self, items: Sequence[Item], frame: _Frame, dot: Value, out: list[Part]) -> None:
        self._enter()
        self._spend(1)
        for item in items:
            if isinstance(item, Literal):
                data = frame.source.data[item.start : item.end].decode("latin-1")
                self._spend(1 + len(data) // 8)
                out.append(Part(data, frame.source, item.start, own=True))
            else:
                self._spend(1)
                self._act(item, frame, dot, out)
        self._depth -= 1

    def _act(self, action: Action, frame: _Frame, dot: Value, out: list[Part]) -> None:
        match action.what:
            case "":
                self._print(action, frame, dot, out)
            case "if" | "with":
                for branch in action.body:
                    if branch.pipe is None:
                        self._run(branch.items, frame, dot, out)
                        return
                    found = self._value(branch.pipe, frame, dot, frame.place(action))
                    if truth(found):
                        within = action.what == "with" and branch is action.body[0]
                        self._run(branch.items, frame, found if within else dot, out)
                        return
            case "range":
                self._range(action, frame, dot, out)
            case "template" | "block":
                data = (
                    self._value(action.pipe, frame, dot, frame.place(action))
                    if action.pipe is not None
                    else None
                )
                found = self._include(action.name, data)
                if isinstance(found, Missing):
                    self.unknown[frame.place(action)] = found.reason
                else:
                    out += self._used(found, frame.place(action))

    def _range(self, action: Action, frame: _Frame, dot: Value, out: list[Part]) -> None:
        pipe = action.pipe
        over = (
            self._value(replace(pipe, names=()), frame, dot, frame.place(action))
            if pipe is not None
            else None
        )
        self._spend(_width(over))
        found = pairs(over)
        for key, value in found:
            names = pipe.names if pipe is not None else ()
            if names:
                frame.variables[names[-1]] = value
                if len(names) == 2:
                    frame.variables[names[0]] = key
            self._run(action.body[0].items, frame, value, out)
        if not found:
            for branch in action.body[1:]:
                self._run(branch.items, frame, dot, out)

    def _print(self, action: Action, frame: _Frame, dot: Value, out: list[Part]) -> None:
        pipe = action.pipe
        if pipe is None:
            return
        found = self._value(pipe, frame, dot, frame.place(action))
        if pipe.names:
            return
        text = text_value(found, self._sources)
        if isinstance(text, Missing):
            self.unknown[frame.place(action)] = text.reason
            first = pipe.commands[-1].words[0]
            if not action.alone and not (first.kind == "word" and first.value in _BLOCKS):
                written = frame.source.data[action.span.start : action.span.end].decode("utf-8", "replace")
                self.marks.append(" ".join(written.split()))
                mark = f"\ue000{len(self.marks) - 1}\ue001".encode().decode("latin-1")
                out.append(Part(mark, use=frame.place(action)))
            return
        out += self._used(text, frame.place(action))

    def _used(self, text: Text, span: Span) -> list[Part]:
        self._spend(_size(text))
        return [part if part.own or part.use is not None else replace(part, use=span) for part in text.parts]

    # Pipelines

    def _value(self, pipe: Pipe, frame: _Frame, dot: Value, span: Span) -> Value:
        self._enter()
        found: Value = None
        for number, command in enumerate(pipe.commands):
            self._spend(1)
            last = [found] if number else []
            found = self._command(command, last, frame, dot, span)
        for name in pipe.names[-1:]:
            frame.variables[name] = found
        self._depth -= 1
        return found

    def _command(self, command: Words, last: Sequence[Value], frame: _Frame, dot: Value, span: Span) -> Value:
        first, rest = command.words[0], command.words[1:]
        args = [*(self._operand(one, frame, dot, span) for one in rest), *last]
        if first.kind == "word":
            return self._call(str(first.value), args, span, frame, dot)
        found = self._operand(first, frame, dot, span, method=args or None)
        if args and not isinstance(found, Missing) and first.fields[-1:] not in (("Get",), ("Has",)):
            return Missing("a value is called like a function")
        return found

    def _operand(
        self, one: Operand, frame: _Frame, dot: Value, span: Span, *, method: Sequence[Value] | None = None
    ) -> Value:
        match one.kind:
            case "literal":
                return one.value if not isinstance(one.value, Pipe) else None
            case "word":
                return self._call(str(one.value), [], span, frame, dot)
            case "variable":
                found = frame.variables.get(str(one.value))
            case "pipe":
                found = self._value(one.value, frame, dot, span) if isinstance(one.value, Pipe) else None
            case _:
                found = dot
        for name in one.fields:
            if isinstance(found, str) and found in (FILES, VERSIONS):
                return self._method(found, name, method or ())
            found = child(found, name)
        return found

    def _method(self, of: str, name: str, args: Sequence[Value]) -> Value:
        given = text_value(args[0], self._sources) if args else Missing("no argument")
        if isinstance(given, Missing):
            return given
        if of == VERSIONS and name == "Has":
            return given.text in _SERVED
        if of == FILES and name == "Get":
            data = self._read(given.text)
            return Missing(f"the file {given.text[:80]}") if data is None else Text.of(data)
        return Missing(f"the method {name}")

    def _call(self, name: str, args: Sequence[Value], span: Span, frame: _Frame, dot: Value) -> Value:
        lost = next((one for one in args if isinstance(one, Missing)), None)
        if lost is not None and name not in _WITH_MISSING:
            return lost
        if name == "include" and len(args) == 2:
            return self._include(str(plain_value(args[0])), args[1])
        if name == "tpl" and len(args) == 2:
            return self._template(args[0], args[1], span)
        known = FUNCTIONS.get(name)
        if known is None:
            return Missing(f"the function {name}")
        self._spend(sum(map(_width, args)))
        least, function = known
        if len(args) < least:
            return Missing(f"{name} with {len(args)} arguments")
        try:
            found = function(args, self._sources)
        except Wrong as why:
            return Missing(f"{name}: {why}")
        if isinstance(found, Text):
            self._spend(_size(found))
        return found

    def _include(self, name: str, data: Value) -> Text | Missing:
        known = self._defined.get(name)
        if known is None:
            return Missing(f"the template {name[:80]!r}, which is not defined in the chart")
        items, source = known
        out: list[Part] = []
        self._run(items, _Frame(source, {"$": data}), data, out)
        return Text(tuple(out))

    def _template(self, template: Value, data: Value, span: Span) -> Value:
        text = text_value(template, self._sources)
        if isinstance(text, Missing):
            return text
        if "{{" not in text.text:
            return text
        # Its text is a template of its own, whose places are all that of the call.
        source = SourceText(span.file, text.text.encode("latin-1"))
        try:
            items = parse(source)
        except ReadError as error:
            return Missing(f"tpl: {error.message}")
        self._spend(1 + len(source.data) // 8)
        out: list[Part] = []
        self._run(items, _Frame(source, {"$": data}, span), data, out)
        return Text(tuple(Part(part.text) if part.source is source else part for part in out))


def _size(text: Text) -> int:
    return len(text.parts) + sum(len(part.text) for part in text.parts) // 8


def _width(value: Value) -> int:
    match value:
        case Fields():
            return len(value.entries) // 8
        case Items():
            return len(value.items) // 8
        case dict() | list():
            return len(value) // 8
        case _:
            return 0
