"""What the expressions of a Python module are worth, given the names assigned before. Nothing is executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from keepalign.model.source import SourceText

_Constant: TypeAlias = str | int | float
Stretch: TypeAlias = tuple[int, int]
"""Bytes [i, j) of the file. They become spans at the end, and only for what is asked for: on one line of
megabytes each span costs the way to its column."""

# Far above what anybody writes in a configuration; so the time to read one stays in proportion to its size.
_LARGEST: Final = 10**12
_LONGEST: Final = 4096
_MOST_ELEMENTS: Final = 256
_MOST_NAMES: Final = 8
_DEEPEST: Final = 40


@dataclass(frozen=True, slots=True)
class Known:
    """What an expression is worth.

    Args:
        constant: a single value; a list is `elements`.
        literal: what to replace to write another number.
        via: names it came through, with their places.
        note: what else decided it.
        from_environment: a variable of the environment has it, and no text of the file.
    """

    constant: _Constant = ""
    elements: tuple[Known | Lost, ...] | None = None
    literal: Stretch | None = None
    via: tuple[tuple[str, Stretch], ...] = ()
    note: str = ""
    from_environment: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Why an expression has no value here. `unset`: it is an environment variable that nobody sets."""

    reason: str
    unset: bool = False


Result: TypeAlias = Known | Lost


class Names:
    """The module's names so far.

    Args:
        env: every variable the process sees, None for one that is not resolved.
    """

    def __init__(self, source: SourceText, tree: ast.Module, env: Mapping[str, str | None]) -> None:
        self.known: dict[str, tuple[Result, Stretch]] = {}
        """Each with the statement that assigned it last."""
        self.aliases: dict[str, str] = {}
        """Imported names: what they stand for."""
        self._source = source
        self._env = env
        self._starts = [0, *(end.end() for end in re.finditer(rb"\r\n|\r|\n", source.data))]
        self._bom = 3 if source.data.startswith(b"\xef\xbb\xbf") else 0
        self._uses: dict[str, int] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._uses[node.id] = self._uses.get(node.id, 0) + 1

    def set(self, name: str, result: Result, statement: ast.stmt) -> None:
        """From here on `name` is worth `result`."""
        self.known[name] = (result, self.stretch(statement))

    def stretch(self, node: ast.stmt | ast.expr) -> Stretch:
        """The bytes of a node: columns of `ast` count bytes of UTF-8."""
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return start, max(start, end)

    def _offset(self, line: int, column: int) -> int:
        row = min(line, len(self._starts)) - 1
        return min(self._starts[row] + column + (self._bom if row == 0 else 0), len(self._source.data))

    def worth(self, node: ast.expr, depth: int = 0) -> Result:
        """The value of an expression, or why it has none."""
        if depth > _DEEPEST:
            return Lost("the expression is too deep")
        match node:
            case ast.Constant(value=bool()):
                return Lost("it is True or False")
            case ast.Constant(value=str() | int() | float() as constant):
                return self._constant(node, constant)
            case ast.Name(id=name):
                return self.of_name(name, node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                return self.arithmetic(
                    ast.Sub() if isinstance(op, ast.USub) else ast.Add(),
                    Known(0),
                    self.worth(operand, depth + 1),
                )
            case ast.BinOp(left=left, op=op, right=right):
                found = self.arithmetic(op, self.worth(left, depth + 1), self.worth(right, depth + 1))
                if isinstance(found, Lost) or found.note:
                    return found  # a number in its place would end what the environment can set
                return replace(found, literal=self.stretch(node))
            case ast.BoolOp(op=ast.Or(), values=values):
                return self._either(values, depth)
            case ast.JoinedStr(values=values):
                return self._f_string(values, depth)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) if len(elements) <= _MOST_ELEMENTS:
                return Known(elements=tuple(self.worth(one, depth + 1) for one in elements))
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)):
                if self._dotted(value) == "os.environ":
                    return self._variable(name, None)
            case ast.Call(func=func, args=args, keywords=[]):
                return self._call(func, args, depth)
            case ast.Call(func=func, args=[name], keywords=[ast.keyword(arg="default", value=default)]):
                return self._call(func, [name, default], depth)
            case _:
                pass
        return Lost(f"{_shown(node)} is decided where it runs")

    def _call(self, func: ast.expr, args: Sequence[ast.expr], depth: int) -> Result:
        called = self._dotted(func)
        if called in ("os.environ.get", "os.getenv") and args and len(args) <= 2:
            match args[0]:
                case ast.Constant(value=str() as name):
                    return self._variable(name, self.worth(args[1], depth + 1) if len(args) == 2 else None)
                case _:
                    return Lost("the name of its environment variable is not written out")
        if called in ("int", "float", "str") and called not in self.known and len(args) == 1:
            inner = self.worth(args[0], depth + 1)
            if isinstance(inner, Lost):
                return inner
            if inner.elements is not None or len(str(inner.constant)) > _LONGEST:
                return Lost(f"{called}() is given no number")
            try:
                made: _Constant = {"int": int, "float": float, "str": str}[called](inner.constant)
            except (ValueError, OverflowError):
                return Lost(f"{called}({inner.constant!r}) has no value")
            return replace(inner, constant=made)
        return Lost(f"{called or 'a function'}() is called where it runs")

    def _variable(self, name: str, default: Result | None) -> Result:
        if name in self._env:
            text = self._env[name]
            if text is None:
                return Lost(f"the environment variable {name} cannot be resolved")
            return Known(text, note=f"environment variable {name}", from_environment=True)
        if default is None:
            return Lost(f"the environment variable {name} is not set in the given files", unset=True)
        if isinstance(default, Lost):
            return default
        note = f"the default here: no file sets the environment variable {name}"
        return replace(default, note=note if not default.note else default.note)

    def of_name(self, name: str, node: ast.expr | None = None) -> Result:
        """What a name is worth where `node` uses it."""
        if name not in self.known:
            return Lost(f"{name} is not assigned before")
        result, place = self.known[name]
        if isinstance(result, Lost):
            return replace(result, reason=f"{name}: {result.reason}"[:200])
        literal = result.literal
        if self._uses.get(name, 0) > 1:
            # Its literal decides something else, too.
            literal = self.stretch(node) if node is not None and not result.note else None
        return replace(result, literal=literal, via=((name, place), *result.via)[:_MOST_NAMES])

    def _either(self, values: Sequence[ast.expr], depth: int) -> Result:
        """`a or b`."""
        found: Result = Lost("nothing stands there")
        unset = ""
        for value in values:
            found = self.worth(value, depth + 1)
            if isinstance(found, Lost):
                if not found.unset:
                    return found
                unset = found.reason
            elif found.constant or found.elements:
                note = found.note or (f"the default here: {unset}" if unset else "")
                return replace(found, note=note)
        return found

    def _f_string(self, values: Sequence[ast.expr], depth: int) -> Result:
        text = ""
        for value in values:
            match value:
                case ast.Constant(value=str() as piece):
                    text += piece
                case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                    found = self.worth(inner, depth + 1)
                    if isinstance(found, Lost):
                        return found
                    if found.elements is not None:
                        return Lost("a list stands inside a text")
                    text += str(found.constant)
                case _:
                    return Lost("a value is formatted where it runs")
            if len(text) > _LONGEST:
                return Lost("the text is too long")
        return Known(text)

    def arithmetic(self, op: ast.operator, left: Result, right: Result) -> Result:
        """`left op right`; of its literals none writes the result."""
        for side in (left, right):
            if isinstance(side, Lost):
                return side
        assert isinstance(left, Known)
        assert isinstance(right, Known)
        a, b = left.constant, right.constant
        known = Known(
            via=tuple(dict.fromkeys((*left.via, *right.via)))[:_MOST_NAMES],
            note=left.note or right.note,
            from_environment=left.from_environment or right.from_environment,
        )
        if (
            isinstance(op, ast.Add)
            and isinstance(a, str)
            and isinstance(b, str)
            and len(a) + len(b) <= _LONGEST
        ):
            return replace(known, constant=a + b)
        if not isinstance(a, int | float) or not isinstance(b, int | float):
            return Lost("it computes with something else than numbers")
        if abs(a) > _LARGEST or abs(b) > _LARGEST:
            return Lost("its numbers are too large")
        try:
            match op:
                case ast.Add():
                    return replace(known, constant=a + b)
                case ast.Sub():
                    return replace(known, constant=a - b)
                case ast.Mult():
                    return replace(known, constant=a * b)
                case ast.Div():
                    return replace(known, constant=a / b)
                case ast.FloorDiv():
                    return replace(known, constant=a // b)
                case ast.Mod():
                    return replace(known, constant=a % b)
                case _:
                    return Lost("its operator is not one of + - * / // %")
        except ZeroDivisionError:
            return Lost("it divides by zero")

    def _constant(self, node: ast.Constant, constant: _Constant) -> Result:
        """With the digits of a number, or of a text that is nothing but one, as its literal."""
        start, end = self.stretch(node)
        if isinstance(constant, int | float):
            return (
                Lost("it is too large") if abs(constant) > _LARGEST else Known(constant, literal=(start, end))
            )
        if any("\ud800" <= character <= "\udfff" for character in constant):
            return Lost("it is no text that can be shown")
        inside = re.fullmatch(rb"(['\"])([0-9]{1,9})\1", self._source.data[start:end])
        return Known(constant, literal=(start + 1, end - 1) if inside is not None else None)

    def _dotted(self, node: ast.expr) -> str:
        """A dotted name, with what its first part was imported as: `environ.get` as "os.environ.get"."""
        first, dot, rest = dotted(node).partition(".")
        return f"{self.aliases.get(first, first)}{dot}{rest}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _shown(node: ast.expr) -> str:
    name = dotted(node)
    return name or {ast.IfExp: "a condition", ast.Lambda: "a function"}.get(type(node), "the expression")
