"""What the names of a Go program stand for: constants, variables, fields, flags that are bound to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from keepalign.readers.golang._syntax import GoFile, arguments_of, last_name, plain, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

Declared: TypeAlias = "tuple[GoFile, Node]"

TAG_DEFAULT: Final = re.compile(r'\b(?:default|envDefault|env-default):"([^"]{1,40})"')
TAG_ENV: Final = re.compile(r'\b(?:envconfig|env):"([^",]{1,60})(?:,\s*default=([^",]{1,40}))?')
_SERVERS: Final = (".Server", "fiber.Config", ".StartConfig")
"""Types whose fields are limits themselves, and no names for them."""


@dataclass(slots=True)
class Names:
    """What the names of a program may stand for; None where several places decide it."""

    globals: dict[tuple[str, str], Declared | None] = field(default_factory=dict)
    locals: dict[tuple[str, str], Declared | None] = field(default_factory=dict)
    fields: dict[str, list[Declared]] = field(default_factory=dict)
    parameters: set[tuple[str, str]] = field(default_factory=set)


def collect(file: GoFile, names: Names) -> None:
    """The names that a file declares."""
    for node, around in file.walk():
        match node.type:
            case "const_spec" | "var_spec":
                for name, value in _pairs(node):
                    if around.top:
                        _once(names.globals, (file.folder, name), file, value)
                    else:
                        _once(names.locals, (file.source.file, name), file, value)
            case "short_var_declaration":
                for name, value in _pairs(node):
                    _once(names.locals, (file.source.file, name), file, value)
            case "assignment_statement":
                _assigned(node, file, names)
            case "parameter_declaration":
                for one in node.children_by_field_name("name"):
                    names.locals[(file.source.file, text_of(one))] = None
                    names.parameters.add((file.source.file, text_of(one)))
            case "range_clause":
                left = node.child_by_field_name("left")
                for one in left.named_children if left is not None else ():
                    names.locals[(file.source.file, text_of(one))] = None
            case "keyed_element" if len(node.named_children) == 2 and not around.literal.endswith(_SERVERS):
                key, value = node.named_children
                _field(names, text_of(key), file, plain(value))
            case "field_declaration" if node.child_by_field_name("tag") is not None:
                tag = text_of(node.child_by_field_name("tag"))
                if TAG_DEFAULT.search(tag) or TAG_ENV.search(tag):
                    for one in node.children_by_field_name("name"):
                        names.fields.setdefault(text_of(one), []).append((file, node))
            case "call_expression":
                _bound_flag(node, file, names)
            case _:
                pass


def _once(
    table: dict[tuple[str, str], Declared | None], key: tuple[str, str], file: GoFile, value: Node | None
) -> None:
    table[key] = (file, value) if key not in table and value is not None else None


def _pairs(node: Node) -> Iterator[tuple[str, Node | None]]:
    """Names and their values, in a declaration."""
    if node.type == "short_var_declaration":
        left = node.child_by_field_name("left")
        names = list(left.named_children) if left is not None else []
        right = node.child_by_field_name("right")
    else:
        names = node.children_by_field_name("name")
        right = node.child_by_field_name("value")
    values = list(right.named_children) if right is not None else []
    for index, name in enumerate(names):
        if len(values) == len(names):
            yield text_of(name), values[index]
        else:
            # `d, err := time.ParseDuration("60s")`: the first of what a call gives.
            yield text_of(name), values[0] if len(values) == 1 and index == 0 else None


def _assigned(node: Node, file: GoFile, names: Names) -> None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return
    targets = left.named_children if left.type == "expression_list" else [left]
    values = right.named_children if right.type == "expression_list" else [right]
    for index, target in enumerate(targets):
        if target.type == "identifier":
            name = text_of(target)
            names.locals.pop((file.source.file, name), None)
            for table, key in (
                (names.locals, (file.source.file, name)),
                (names.globals, (file.folder, name)),
            ):
                if table is names.locals or key in table:
                    table[key] = None
        elif target.type == "selector_expression" and len(values) == len(targets):
            _field(names, last_name(target), file, values[index])


def _field(names: Names, name: str, file: GoFile, value: Node) -> None:
    """A value of a field. `IdleTimeout: cfg.IdleTimeout` only hands one on."""
    if last_name(value) != name:
        names.fields.setdefault(name, []).append((file, value))


def _bound_flag(node: Node, file: GoFile, names: Names) -> None:
    """`flag.DurationVar(&cfg.idle, "idle", …)`: the flag is the value of what it is bound to."""
    function, given = node.child_by_field_name("function"), arguments_of(node)
    if function is None or len(given) < 4 or not last_name(function).startswith(("DurationVar", "IntVar")):
        return
    bound = given[0].child_by_field_name("operand") if given[0].type == "unary_expression" else None
    if bound is not None and bound.type == "selector_expression":
        names.fields.setdefault(last_name(bound), []).append((file, node))
    elif bound is not None and bound.type == "identifier":
        key = (file.folder, text_of(bound))
        names.globals[key] = (file, node)
