"""Python files that configure a server (gunicorn.conf.py, hypercorn's `file:`): their module-level names.

Read by `ast`, never executed. Assigned constants, arithmetic on them, names assigned before, f-strings,
lists, and `os.environ.get("X", "5")` with `int(…)` around it have a value. What only a run decides (other
calls, imports, conditions, loops) makes a value unresolved, with its reason. The last assignment of a name
counts.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._flags import Value
from keepalign.readers._options import ConfFragment
from keepalign.readers._python_values import Known, Lost, Names, Result, dotted

_NAMESPACES: Final = ("exec", "globals", "locals", "vars")


def read_conf(
    source: SourceText, names: Collection[str], environment: Mapping[str, str | None] | None = None
) -> ConfFragment:
    """What the file sets.

    Args:
        names: of the settings that are asked for.
        environment: every variable the process sees, None for one that is not resolved.
    Raises: ReadError: it is no Python that keepalign's own Python understands.
    """
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        span = source.span(error.start, error.start)
        raise ReadError("is not UTF-8", file=source.file, line=span.line, column=span.column) from error
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python will refuse one day
            tree = ast.parse(text)
    except SyntaxError as error:
        raise ReadError(
            f"is no Python: {error.msg}",
            file=source.file,
            line=error.lineno or 1,
            column=max(error.offset or 1, 1),
            hint="templates are not filled in; give the file as the server reads it",
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"is no Python: {error}", file=source.file, line=1, column=1) from error
    return _Module(source, tree, dict(environment or {})).fragment(names)


class _Module:
    """One file under way, statement by statement."""

    def __init__(self, source: SourceText, tree: ast.Module, env: Mapping[str, str | None]) -> None:
        self._source = source
        self._tree = tree
        self._names = Names(source, tree, env)
        self._unclear = ""

    def fragment(self, names: Collection[str]) -> ConfFragment:
        for statement in self._tree.body:
            self._statement(statement)
        values = {name: self._values(name) for name in names if name in self._names.known}
        return ConfFragment(self._source.file, values=values, unclear=self._unclear, further=self._further())

    def _further(self) -> Site:
        data = self._source.data
        end = self._source.span(len(data), len(data))
        line_end = "\r\n" if b"\r\n" in data else "\n"
        whole = not data or data.endswith(b"\n")
        return Site(end, f"{{name}} = {{value}}{line_end}" if whole else f"{line_end}{{name}} = {{value}}")

    def _statement(self, statement: ast.stmt) -> None:
        self._look_for_namespaces(statement)
        match statement:
            case ast.Assign(targets=targets, value=value):
                result = self._names.worth(value)
                for target in targets:
                    self._assign(target, result, statement)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self._names.worth(value), statement)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self._names.set(
                    name,
                    self._names.arithmetic(op, self._names.of_name(name), self._names.worth(value)),
                    statement,
                )
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self._names.set(name, Lost("it is a function or class"), statement)
            case ast.Expr() | ast.Pass() | ast.AnnAssign():
                pass
            case _:
                self._lose(statement)

    def _assign(self, target: ast.expr, result: Result, statement: ast.stmt) -> None:
        if isinstance(target, ast.Name):
            self._names.set(target.id, result, statement)
            return
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._names.set(
                    node.id, Lost(f"line {statement.lineno} assigns several names at once"), statement
                )

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        module = getattr(statement, "module", None) or ""
        for alias in statement.names:
            if alias.name == "*":
                self._unclear = (
                    f"it may be set by the import of everything from {module or '.'}"
                    f" ({self._source.file}, line {statement.lineno})"
                )
                self._names.known.clear()
                continue
            name = alias.asname or alias.name.partition(".")[0]
            full = f"{module}.{alias.name}" if module else alias.name
            self._names.aliases[name] = full if module or alias.asname else name
            self._names.set(name, Lost(f"line {statement.lineno} imports it"), statement)

    def _lose(self, statement: ast.stmt) -> None:
        """Whatever a compound statement assigns is not certain from here on."""
        for node in ast.walk(statement):
            names: Sequence[str] = ()
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                    names = (name,)
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    if any(alias.name == "*" for alias in aliases):
                        self._unclear = (
                            f"it may be set by the import at line {node.lineno} of {self._source.file}"
                        )
                    names = [(a.asname or a.name).partition(".")[0] for a in aliases]
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names = (name,)
                case _:
                    pass
            for name in names:
                self._names.set(name, Lost(f"line {statement.lineno} decides it where it runs"), statement)

    def _look_for_namespaces(self, statement: ast.stmt) -> None:
        """`globals()["x"] = …` and its like set names that nobody sees; a walrus sets one on the way."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                called = dotted(node.func).rpartition(".")[2]
                if called in _NAMESPACES and not self._unclear:
                    self._unclear = (
                        f"it may be set by {called}() at line {node.lineno} of {self._source.file}"
                    )
                    self._names.known.clear()
            elif isinstance(node, ast.NamedExpr):
                name = node.target.id
                self._names.set(name, Lost(f"line {node.lineno} sets it inside an expression"), statement)

    def _values(self, name: str) -> tuple[Value, ...]:
        result, (start, end) = self._names.known[name]
        what = self._source.data[start:end].decode("utf-8", "replace").partition("\n")[0].strip()
        span = self._source.span(start, end)
        results = result.elements if isinstance(result, Known) and result.elements is not None else (result,)
        return tuple(self._value(one, span, what) for one in results)

    def _value(self, result: Result, span: Span, what: str) -> Value:
        if isinstance(result, Lost):
            return Value(None, span, what, reason=result.reason)
        if result.elements is not None:
            return Value(None, span, what, reason="it is a list of lists")
        site = (
            None if result.from_environment or result.literal is None else self._source.span(*result.literal)
        )
        via = tuple((name, self._source.span(*place)) for name, place in result.via)
        return Value(str(result.constant), span, what, site, via=via, note=result.note)
