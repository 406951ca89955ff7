"""Expressions to Values, on demand: only what feeds a timeout or a join is ever evaluated.

Nothing here raises for what Terraform would refuse or what only an apply can know: both are Unresolved, with
their reason. Work and depth are bounded, so that no input can keep keepalign busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from keepalign.model.source import SourceText, Span, Step
from keepalign.readers.terraform.choosing import CHOOSING
from keepalign.readers.terraform.functions import COMPUTING
from keepalign.readers.terraform.nodes import (
    SPLAT_ITEM,
    Attr,
    Binary,
    Call,
    Conditional,
    Expr,
    ForExpr,
    Index,
    Literal,
    Name,
    ObjectExpr,
    Paren,
    Splat,
    Template,
    TupleExpr,
    Unary,
)
from keepalign.readers.terraform.operators import apply_binary, apply_unary
from keepalign.readers.terraform.rendering import Rendering
from keepalign.readers.terraform.structure import QuotedText
from keepalign.readers.terraform.trails import attribute, bound, computed, element, pairs, reached, through
from keepalign.readers.terraform.values import (
    MAX_ITEMS,
    Data,
    Deferred,
    Fields,
    Items,
    Piece,
    Reference,
    Scope,
    Stop,
    Unresolved,
    Value,
    bool_of,
    items_of,
    refuse,
    stop,
    text_of,
    unresolved_of,
)

# The modules of terraform-aws-modules/ecs, four deep, need 30; each level takes up to ten of Python's frames.
MAX_DEPTH: Final = 64
# The same need 2,000. This many take about three seconds.
MAX_WORK: Final = 200_000


@dataclass(slots=True)
class Budget:
    """Shared by all modules of one reading."""

    depth: int = 0
    work: int = 0


class Names(Protocol):
    """What a module gives to the expressions in it. Trails begin at the definition."""

    def variable(self, name: str) -> Value: ...
    def local(self, name: str) -> Value: ...
    def resource(self, address: str) -> Data: ...
    def child(self, name: str) -> Data: ...
    def template(self, name: str) -> Data | None:
        """The data source template_file of this name; None when there is none."""
        ...

    def file(self, path: str) -> SourceText:
        """Raises: Stop: there is no such file, or it lies outside the module."""
        ...


class Evaluator:
    def __init__(self, names: Names, budget: Budget) -> None:
        self._names = names
        self._budget = budget
        self.rendering: Final = Rendering(self.evaluate)

    def evaluate(self, expr: Expr, scope: Scope) -> Value:
        """Never raises Stop. Raises: ReadError: a file that the expression reads is no valid template."""
        budget = self._budget
        budget.work += 1
        if budget.depth >= MAX_DEPTH or budget.work > MAX_WORK:
            reason = "it is nested too deep" if budget.depth >= MAX_DEPTH else "it takes too long to evaluate"
            return Value(Unresolved(reason), (Step(expr.span, ""),))
        budget.depth += 1
        try:
            return self._evaluate(expr, scope)
        except Stop as stopped:
            return Value(stopped.unresolved, (Step(expr.span, ""),))
        finally:
            budget.depth -= 1

    def _evaluate(self, expr: Expr, scope: Scope) -> Value:
        match expr:
            case Literal():
                literal = None if expr.value is None else expr.span
                return Value(expr.value, (Step(expr.span, ""),), literal=literal)
            case Template():
                return self.rendering.template(expr, scope)
            case Name():
                return self._name(expr, scope)
            case Attr():
                return self._attr(expr, scope)
            case Index():
                found = element(self.evaluate(expr.of, scope), self.evaluate(expr.key, scope))
                return reached(expr.span, found)
            case Splat():
                return self._splat(expr, scope)
            case TupleExpr():
                values = tuple([self.evaluate(item, scope) for item in expr.items])
                last = expr.items[-1].end if expr.items else None
                quoted = isinstance(expr.source, QuotedText)
                behind = None if last is None or quoted else expr.source.span(last, last)
                return Value(Items(values, behind), (Step(expr.span, ""),))
            case ObjectExpr():
                return self._object(expr, scope)
            case ForExpr():
                return self._for(expr, scope)
            case Call():
                return self._call(expr, scope)
            case Conditional():
                return self._conditional(expr, scope)
            case Paren():
                return through(expr.span, self.evaluate(expr.inner, scope))
            case Unary():
                operand = self.evaluate(expr.operand, scope)
                return computed(expr.span, apply_unary(expr.operator, operand), [operand])
            case Binary():
                operands = [self.evaluate(expr.left, scope), self.evaluate(expr.right, scope)]
                return computed(expr.span, apply_binary(expr.operator, *operands), operands)

    # References

    def _name(self, expr: Name, scope: Scope) -> Value:
        found = scope.get(expr.name)
        if found is None:
            refuse(f"{expr.name!r} means nothing here")
        if expr.name in ("each", "count", "path", "terraform"):
            # Only their attributes are values; those are named after them.
            return replace(found, trail=(Step(expr.span, expr.name),))
        first = found.trail[0]
        name = "" if expr.name == SPLAT_ITEM else expr.name
        return replace(
            found, trail=(Step(expr.span, ""), Step(first.span, first.what or name), *found.trail[1:])
        )

    def _attr(self, expr: Attr, scope: Scope) -> Value:
        of = expr.of
        if isinstance(of, Name) and of.name not in scope:
            match of.name:
                case "var":
                    return self._defined(expr, self._names.variable(expr.name))
                case "local":
                    return self._defined(expr, self._names.local(expr.name))
                case "module":
                    return Value(self._names.child(expr.name), (Step(expr.span, ""),))
                case "data":
                    return Value(Deferred(f"data.{expr.name}", _of_nothing), (Step(expr.span, ""),))
                case "each" | "count" | "self":
                    refuse(f"{of.name}.{expr.name} means nothing here")
                case kind:
                    return Value(self._names.resource(f"{kind}.{expr.name}"), (Step(expr.span, ""),))
        if isinstance(of, Attr) and isinstance(of.of, Name) and of.of.name == "data":
            template = self._names.template(expr.name) if of.name == "template_file" else None
            if template is not None:
                return Value(template, (Step(expr.span, ""),))
            address = f"data.{of.name}.{expr.name}"
            data = Deferred(address, lambda name: _computed_attribute(address, name, expr.span), wild=True)
            return Value(data, (Step(expr.span, ""),))
        return reached(expr.span, attribute(self.evaluate(of, scope), expr.name))

    @staticmethod
    def _defined(expr: Expr, value: Value) -> Value:
        return replace(value, trail=(Step(expr.span, ""), *value.trail))

    def _splat(self, expr: Splat, scope: Scope) -> Value:
        of = self.evaluate(expr.of, scope)
        match of.data:
            case Unresolved():
                return of
            case None:
                elements: Sequence[Value] = ()
            case Items(values):
                elements = [bound(of, value, f"[{i}]") for i, value in enumerate(values)]
            case _:
                elements = (of,)
        values = tuple([self.evaluate(expr.each, {**scope, SPLAT_ITEM: item}) for item in elements])
        return Value(Items(values), (Step(expr.span, ""),))

    # Collections

    def _object(self, expr: ObjectExpr, scope: Scope) -> Value:
        fields: dict[str, Value] = {}
        for item in expr.items:
            fields[text_of(self.evaluate(item.key, scope))] = self.evaluate(item.value, scope)
        return Value(Fields(fields, expr), (Step(expr.span, ""),))

    def _for(self, expr: ForExpr, scope: Scope) -> Value:
        collection = self.evaluate(expr.collection, scope)
        items: list[Value] = []
        fields: dict[str, Value] = {}
        groups: dict[str, list[Value]] = {}
        for key, value in pairs(collection):
            inner = {**scope, expr.value: value}
            if expr.key is not None:
                inner[expr.key] = key
            if expr.condition is not None and not bool_of(self.evaluate(expr.condition, inner)):
                continue
            result = self.evaluate(expr.result, inner)
            if expr.result_key is None:
                items.append(result)
                continue
            name = text_of(self.evaluate(expr.result_key, inner))
            if expr.group:
                groups.setdefault(name, []).append(result)
            elif name in fields:
                refuse(f"two elements have the key {name[:40]!r}")
            else:
                fields[name] = result
        trail = (Step(expr.span, ""),)
        if expr.result_key is None:
            return Value(Items(tuple(items)), trail)
        fields.update({name: Value(Items(tuple(group)), trail) for name, group in groups.items()})
        return Value(Fields(fields), trail)

    def _conditional(self, expr: Conditional, scope: Scope) -> Value:
        condition = self.evaluate(expr.condition, scope)
        if (unresolved := unresolved_of(condition.data)) is not None:
            reason = f"its condition is not known: {unresolved.reason}"
            stopped = Unresolved(reason, error=unresolved.error, refs=unresolved.refs)
            return Value(stopped, (Step(expr.span, ""),))
        chosen = expr.then if bool_of(condition) else expr.otherwise
        return through(expr.span, self.evaluate(chosen, scope))

    # Functions

    def _call(self, expr: Call, scope: Scope) -> Value:
        if expr.name == "try":
            return self._try(expr, scope)
        if expr.name == "can":
            return self._can(expr, scope)
        args = [self.evaluate(arg, scope) for arg in expr.args]
        if expr.expand:
            args = [*args[:-1], *items_of(args[-1]).values]
        if len(args) > MAX_ITEMS:
            stop("a call with too many arguments")
        name = expr.name.removeprefix("core::")
        try:
            if name == "file":
                return self._file(expr, args)
            if name == "templatefile":
                return self.rendering.file(expr.span, self._source(args), args[1:])
            if name.startswith("keepalign::") and name in CHOOSING:
                # Of what a known module hands on, only the caller's places tell anybody anything.
                return CHOOSING[name](args)
            if name in CHOOSING:
                return through(expr.span, CHOOSING[name](args))
            if name in COMPUTING:
                return computed(expr.span, COMPUTING[name](args), args)
            stop(f"{name}() at {expr.span.place} is not evaluated")
        except Stop as stopped:
            found = stopped.unresolved
            of_args = [u.refs for arg in args if (u := unresolved_of(arg.data)) is not None]
            refs = tuple(dict.fromkeys([*found.refs, *(ref for refs in of_args for ref in refs)]))
            raise Stop(replace(found, refs=refs)) from None

    def _try(self, expr: Call, scope: Scope) -> Value:
        for arg in expr.args:
            value = self.evaluate(arg, scope)
            if not _refused(value):
                return through(expr.span, value)
        refuse("no argument of try can be evaluated")

    def _can(self, expr: Call, scope: Scope) -> Value:
        operands = [self.evaluate(arg, scope) for arg in expr.args]
        if len(operands) != 1:
            refuse("can needs one argument")
        data = operands[0].data
        if isinstance(data, Unresolved) and not data.error:
            stop(data.reason, refs=data.refs)
        return computed(expr.span, not _refused(operands[0]), [])

    def _source(self, args: Sequence[Value]) -> SourceText:
        if not args:
            refuse("a path is missing")
        return self._names.file(text_of(args[0]))

    def _file(self, expr: Call, args: Sequence[Value]) -> Value:
        source = self._source(args)
        try:
            text = source.data.decode("utf-8")
        except UnicodeDecodeError:
            refuse(f"{source.file} is not UTF-8")
        return Value(text, (Step(expr.span, ""),), pieces=(Piece(text, source, 0, len(source.data)),))


def _refused(value: Value) -> bool:
    """Whether Terraform would report an error in `value`, or in one of its elements: `[x.missing]` is one."""
    waiting = [value]
    for _ in range(MAX_ITEMS):
        if not waiting:
            return False
        data = waiting.pop().data
        match data:
            case Unresolved(error=True):
                return True
            case Items(values):
                waiting += values
            case Fields(values):
                waiting += values.values()
            case _:
                pass
    return False


def _of_nothing(name: str) -> Value:
    refuse(f"{name!r} is the type of a data source, not a value")


def _computed_attribute(address: str, name: str, place: Span) -> Value:
    return Value(Reference(address, name), (Step(place, ""),))
