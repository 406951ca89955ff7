"""Go templates as a tree: text, actions, and blocks of both.

Source: https://pkg.go.dev/text/template
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]+
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[-+]?[0-9]+(?:\.[0-9]+)?(?![\w.]))
    |(?P<variable>\$\w*)
    |(?P<field>\.\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE | re.ASCII,
)
_DEEPEST: Final = 40
"""Blocks or parentheses inside each other."""
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Words:
    """A command: a function with its arguments, or one operand."""

    words: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each the last argument of the next. `names` are variables that it is given to."""

    commands: tuple[Words, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operand:
    """A literal, a function's name, or a value with fields behind it.

    Args:
        kind: "literal", "word", "variable", "dot" or "pipe".
    """

    kind: str
    value: str | int | float | bool | Pipe | None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes of the template, as they are."""

    start: int
    end: int


@dataclass(slots=True)
class Action:
    """Something in braces.

    Args:
        what: "", or the keyword: "if", "with", "range", "define", "block", "template".
        name: of a define, a block or a template.
        alone: nothing else stands on its line.
    """

    what: str
    pipe: Pipe | None
    span: Span
    name: str = ""
    alone: bool = False
    body: list[Branch] = field(default_factory=list)


@dataclass(slots=True)
class Branch:
    """One way of a block. `pipe` is None for a plain else."""

    pipe: Pipe | None
    items: list[Item] = field(default_factory=list)


Item: TypeAlias = Literal | Action


def parse(source: SourceText) -> list[Item]:
    """The items of a template. Raises: ReadError: it is none that is understood."""
    return _Parser(source).items()


class _Parser:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._text = source.data.decode("latin-1")

    def items(self) -> list[Item]:
        root = Branch(None)
        open_: list[Action] = []
        current = root
        at, trim = 0, False
        text = self._text
        while True:
            start = text.find("{{", at)
            stop = start if start != -1 else len(text)
            low, high = at, stop
            if trim:
                while low < high and text[low] in " \t\r\n":
                    low += 1
            if (
                start != -1
                and text.startswith("{{-", start)
                and text[start + 3 : start + 4] in tuple(" \t\r\n")
            ):
                while high > low and text[high - 1] in " \t\r\n":
                    high -= 1
            if low < high:
                current.items.append(Literal(low, high))
            if start == -1:
                break
            at, trim, tokens = self._tokens(start)
            if not tokens:
                continue
            span = self._source.span(start, at)
            kind, word = tokens[0]
            rest = tokens[1:]
            if kind == "word" and word == "end":
                if not open_:
                    self._refuse(start, "an end that ends nothing")
                open_.pop()
                current = open_[-1].body[-1] if open_ else root
            elif kind == "word" and word == "else":
                if not open_:
                    self._refuse(start, "an else outside of any block")
                pipe = None
                if rest:
                    pipe = self._pipe(rest[1:] if rest[0][1] in ("if", "with") else rest, start)
                current = Branch(pipe)
                open_[-1].body.append(current)
            elif kind == "word" and word in ("if", "with", "range", "define", "block"):
                action = Action(word, None, span)
                if word in ("define", "block"):
                    action.name, rest = self._name(rest, start), rest[1:]
                pipe = self._pipe(rest, start) if rest else None
                action.pipe = pipe
                current.items.append(action)
                current = Branch(pipe)
                action.body.append(current)
                open_.append(action)
                if len(open_) > _DEEPEST:
                    self._refuse(start, f"blocks are nested more than {_DEEPEST} levels deep")
            elif kind == "word" and word == "template":
                pipe = self._pipe(rest[1:], start) if rest[1:] else None
                current.items.append(Action(word, pipe, span, self._name(rest, start)))
            elif kind == "word" and word in ("break", "continue"):
                self._refuse(start, f"{word} is not followed")
            else:
                current.items.append(
                    Action("", self._pipe(tokens, start), span, alone=self._is_alone(start, at))
                )
        if open_:
            self._refuse(open_[-1].span.start, f"this {open_[-1].what} has no end")
        return root.items

    def _is_alone(self, start: int, end: int) -> bool:
        before = self._text[max(start - 200, 0) : start].rpartition("\n")[2]
        after = self._text[end : end + 200].partition("\n")[0]
        return not before.strip() and not after.strip()

    def _name(self, tokens: list[tuple[str, str]], start: int) -> str:
        if not tokens or tokens[0][0] != "string":
            self._refuse(start, "a template without a name")
        return _string(tokens[0][1])

    def _tokens(self, start: int) -> tuple[int, bool, list[tuple[str, str]]]:
        """Where the action ends, whether blanks behind it go, and its tokens; none for a comment."""
        text = self._text
        at = start + 2
        if text.startswith("-", at) and text[at + 1 : at + 2] in tuple(" \t\r\n"):
            at += 1
        comment = at
        while comment < len(text) and text[comment] in " \t\r\n":
            comment += 1
        if text.startswith("/*", comment):
            close = text.find("*/", comment + 2)
            end = text.find("}}", close) if close != -1 else -1
            if end == -1:
                self._refuse(start, "a comment without an end")
            return end + 2, text[end - 1] == "-", []
        tokens: list[tuple[str, str]] = []
        while True:
            if text.startswith("}}", at):
                return at + 2, False, tokens
            if text.startswith("-}}", at) and text[at - 1] in " \t\r\n":
                return at + 3, True, tokens
            found = _TOKEN.match(text, at)
            if found is None:
                self._refuse(min(at, len(text)), "no action of a template")
            if found.lastgroup is not None:
                kind = found.lastgroup
                # A field right behind something belongs to it.
                if kind == "field" and at and text[at - 1] not in " \t\r\n(|,{=" and tokens:
                    kind = "of"
                tokens.append((kind, found[0]))
            at = found.end()

    def _pipe(self, tokens: list[tuple[str, str]], start: int) -> Pipe:
        parser = _Words(tokens)
        found = parser.pipe(0)
        if found is None or not parser.done:
            self._refuse(start, "no action that is understood")
        return found

    def _refuse(self, at: int, why: str) -> NoReturn:
        place = self._source.span(at, at)
        raise ReadError(
            f"is no template: {why}", file=self._source.file, line=place.line, column=place.column
        )


class _Words:
    """Tokens to commands. None stands for what does not fit."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._tokens)

    def pipe(self, depth: int) -> Pipe | None:
        if depth > _DEEPEST:
            return None
        names = self._names()
        commands: list[Words] = []
        while True:
            words: list[Operand] = []
            while not self.done and self._tokens[self._at][1] not in ("|", ")"):
                operand = self._operand(depth)
                if operand is None:
                    return None
                words.append(operand)
            if not words:
                return None
            commands.append(Words(tuple(words)))
            if self.done or self._tokens[self._at][1] == ")":
                return Pipe(tuple(commands), names)
            self._at += 1

    def _names(self) -> tuple[str, ...]:
        names: list[str] = []
        at = self._at
        while at < len(self._tokens) and self._tokens[at][0] == "variable":
            names.append(self._tokens[at][1])
            at += 1
            if at < len(self._tokens) and self._tokens[at][1] == ",":
                at += 1
        if names and at < len(self._tokens) and self._tokens[at] in (("mark", ":="), ("mark", "=")):
            self._at = at + 1
            return tuple(names)
        return ()

    def _operand(self, depth: int) -> Operand | None:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "string":
            return Operand("literal", _string(text))
        if kind == "number":
            return Operand("literal", float(text) if "." in text else int(text[:18]))
        if kind == "word":
            if text in ("true", "false", "nil"):
                return Operand("literal", {"true": True, "false": False}.get(text))
            return Operand("word", text)
        if kind == "variable":
            return Operand("variable", text, self._fields())
        if kind == "field":
            first = (text[1:],) if len(text) > 1 else ()
            return Operand("dot", None, (*first, *self._fields()))
        if (kind, text) == ("mark", "("):
            inner = self.pipe(depth + 1)
            if inner is None or self.done:
                return None
            self._at += 1
            return Operand("pipe", inner, self._fields())
        return None

    def _fields(self) -> tuple[str, ...]:
        found: list[str] = []
        while not self.done and self._tokens[self._at][0] == "of":
            found.append(self._tokens[self._at][1][1:])
            self._at += 1
        return tuple(found)


def _string(written: str) -> str:
    if written[0] == "`":
        return written[1:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), written[1:-1])
