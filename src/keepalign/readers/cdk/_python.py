"""Python to statements, with its names spelled as TypeScript spells them."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
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
)

_DEEPEST: Final = 60
_SIGNS: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_CONDITIONS: Final = (ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.AsyncFor)
_WORD: Final = re.compile(r"_([a-z0-9])")


def statements(source: SourceText) -> list[Statement]:
    """The assignments and calls of a file, in order, of all classes and functions.

    Raises: ReadError: no UTF-8, or no Python.
    """
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = source.span(error.start, error.start)
        raise ReadError("is not UTF-8", file=source.file, line=place.line, column=place.column) from error
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python will refuse one day
            tree = ast.parse(text)
    except SyntaxError as error:
        line, column = error.lineno or 1, max(error.offset or 1, 1)
        raise ReadError(f"is no Python: {error.msg}", file=source.file, line=line, column=column) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"is no Python: {error}", file=source.file, line=1, column=1) from error
    return list(_File(source).statements(tree))


class _File:
    def __init__(self, source: SourceText) -> None:
        data = source.data
        mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        # Where `ast` begins lines: it takes a lone CR and a form feed's neighbours as Python does.
        self._starts = [mark, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]
        self._data = data

    def statements(self, tree: ast.Module) -> Iterator[Statement]:
        """In order, without a call per level."""
        waiting: list[tuple[ast.AST, bool]] = [(one, False) for one in reversed(tree.body)]
        while waiting:
            node, unsure = waiting.pop()
            yield from self._statement(node, unsure)
            if isinstance(node, ast.stmt):
                unsure = unsure or isinstance(node, _CONDITIONS)
                held = [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.expr)]
                waiting += [(one, unsure) for one in reversed(held)]
            elif isinstance(node, ast.ExceptHandler | ast.match_case):
                waiting += [(one, True) for one in reversed(node.body)]

    def _statement(self, node: ast.AST, unsure: bool) -> Iterator[Statement]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                for one in every:
                    reason = Other(f"{one.arg} is decided where it is called", self._at(one))
                    yield Statement(one.arg, reason, self._at(one))
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                if node.value is not None:
                    held = self.expr(target)
                    name = held.name if isinstance(held, Name) else ""
                    yield Statement(name, self.expr(node.value), self._at(node), unsure, self._alone(node))
            case ast.Expr() | ast.Return() if node.value is not None:
                yield Statement("", self.expr(node.value), self._at(node), unsure, self._alone(node))

    def _alone(self, node: ast.stmt) -> bool:
        start, _ = self._at(node)
        return not self._data[self._data.rfind(b"\n", 0, start) + 1 : start].strip()

    def expr(self, node: ast.expr, depth: int = 0) -> Expr:
        """One expression."""
        at = self._at(node)
        if depth > _DEEPEST:
            return Other("the expression is too deep", at)
        deeper = depth + 1
        match node:
            case ast.Name():
                return Name("this" if node.id == "self" else node.id, at)
            case ast.Constant(value=bool()):
                return Text(str(node.value).lower(), at)
            case ast.Constant(value=int() | float() as number) if abs(number) < 10**15:
                return Number(number, at)
            case ast.Constant(value=str() as text):
                return Text(text, at, self._inner(at, text))
            case ast.JoinedStr():
                return Pieces(tuple(self._piece(one, deeper) for one in node.values), at)
            case ast.Attribute(value=ast.Name(id="self")):
                return Name(f"this.{node.attr}", at)
            case ast.Attribute():
                return Member(self.expr(node.value, deeper), _spelled(node.attr), at)
            case ast.Call():
                return self._call(node, deeper)
            case ast.Dict():
                return self._dict(node, deeper)
            case ast.List() | ast.Tuple():
                return Listed(tuple(self.expr(one, deeper) for one in node.elts), at)
            case ast.BinOp():
                sign = _SIGNS.get(type(node.op), "")
                return Binary(sign, self.expr(node.left, deeper), self.expr(node.right, deeper), at)
            case ast.IfExp():
                return Other("a condition decides it when the program runs", at)
            case _:
                return Other("it is decided when the program runs", at)

    def _call(self, node: ast.Call, depth: int) -> Call:
        entries = {_spelled(one.arg): self.expr(one.value, depth) for one in node.keywords if one.arg}
        spread = any(one.arg is None for one in node.keywords)
        ends = [self._at(one)[1] for one in (*node.args, *(one.value for one in node.keywords))]
        last = max(ends, default=None)
        at = self._at(node)
        options = Options(entries, at, spread, last, keywords=True) if node.keywords else None
        function = self.expr(node.func, depth)
        return Call(function, tuple(self.expr(one, depth) for one in node.args), options, at, last)

    def _dict(self, node: ast.Dict, depth: int) -> Options:
        entries = {
            key.value: self.expr(value, depth)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
        return Options(entries, self._at(node), None in node.keys)

    def _piece(self, node: ast.expr, depth: int) -> Expr:
        if isinstance(node, ast.FormattedValue):
            return self.expr(node.value, depth)
        return Text(node.value, self._at(node)) if isinstance(node, ast.Constant) and isinstance(
            node.value, str
        ) else Other("it is no text", self._at(node))  # fmt: skip

    def _inner(self, at: Stretch, text: str) -> Stretch | None:
        written = self._data[at[0] : at[1]]
        length = len(text.encode("utf-8", "surrogatepass"))
        plain = len(written) == length + 2 and written[1:-1] == text.encode("utf-8", "surrogatepass")
        return (at[0] + 1, at[1] - 1) if plain else None

    def _at(self, node: ast.expr | ast.stmt | ast.arg) -> Stretch:
        """Of `ast`'s lines and columns, which count bytes."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._byte(node.lineno, node.col_offset), self._byte(end_line, end_column)

    def _byte(self, line: int, column: int) -> int:
        start = self._starts[min(line, len(self._starts)) - 1]
        return min(start + column, len(self._data))


def _spelled(name: str) -> str:
    """`idleTimeout` for `idle_timeout`."""
    return _WORD.sub(lambda match: match[1].upper(), name)
