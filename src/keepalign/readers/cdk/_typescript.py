"""TypeScript and JavaScript to statements. The grammar always gives a tree: no file fails."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_DEEPEST: Final = 60
_TRANSPARENT: Final = frozenset({
    "parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression",
    "await_expression",
})  # fmt: skip
_CONDITIONS: Final = frozenset({
    "if_statement", "switch_statement", "for_statement", "for_in_statement", "while_statement",
    "do_statement", "catch_clause",
})  # fmt: skip
_PARAMETERS: Final = ("required_parameter", "optional_parameter")


@cache
def _parser() -> Parser:
    # Imported here: a tree without the CDK should not wait for it.
    import tree_sitter
    import tree_sitter_typescript

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_typescript.language_typescript()))


def statements(data: bytes) -> Iterator[Statement]:
    """The assignments and calls of a file, in order, of all classes and functions."""
    waiting: list[tuple[Node, bool]] = [(_parser().parse(data).root_node, False)]
    while waiting:
        node, unsure = waiting.pop()
        found = _statement(node, data, unsure)
        if found is not None:
            yield found
        unsure = unsure or node.type in _CONDITIONS
        # What stands in a statement that was taken may hold functions with further ones.
        waiting += [(child, unsure) for child in reversed(node.named_children)]


def _statement(node: Node, data: bytes, unsure: bool) -> Statement | None:
    kind = node.type
    if kind in _PARAMETERS:
        pattern = node.child_by_field_name("pattern")
        name = _text(pattern) if pattern is not None else ""
        return Statement(name, Other(f"{name} is decided where it is called", _at(node)), _at(node))
    around = node.parent if kind == "variable_declarator" else node
    if around is None:
        return None
    if kind in ("variable_declarator", "public_field_definition", "field_definition"):
        target = node.child_by_field_name("name") or node.child_by_field_name("property")
        value = node.child_by_field_name("value")
    elif kind == "expression_statement" and node.named_children:
        inner = node.named_children[0]
        if inner.type == "assignment_expression":
            target, value = inner.child_by_field_name("left"), inner.child_by_field_name("right")
        else:
            target, value = None, inner
    elif kind == "return_statement" and node.named_children:
        target, value = None, node.named_children[0]
    else:
        return None
    if value is None:
        return None
    name = ""
    if target is not None:
        held = _expr(target)
        name = held.name if isinstance(held, Name) else ""
        if kind.endswith("field_definition"):
            name = f"this.{_text(target)}"
    begin = data.rfind(b"\n", 0, around.start_byte) + 1
    alone = not data[begin : around.start_byte].strip() and not kind.endswith("field_definition")
    return Statement(name, _expr(value), _at(around), unsure, alone and kind != "return_statement")


def _expr(node: Node, depth: int = 0) -> Expr:
    at = _at(node)
    if depth > _DEEPEST:
        return Other("the expression is too deep", at)
    deeper = depth + 1
    match node.type:
        case "identifier" | "property_identifier" | "shorthand_property_identifier":
            return Name(_text(node), at)
        case "this":
            return Name("this", at)
        case "number":
            return _number(node)
        case "string":
            return _string(node)
        case "template_string":
            return _template(node, deeper)
        case "member_expression":
            held, name = node.child_by_field_name("object"), node.child_by_field_name("property")
            if held is None or name is None:
                return Other("it is not complete", at)
            if held.type == "this":
                return Name(f"this.{_text(name)}", at)
            return Member(_expr(held, deeper), _text(name), at)
        case "call_expression" | "new_expression":
            return _call(node, deeper)
        case "object":
            return _object(node, deeper)
        case "array":
            return Listed(tuple(_expr(one, deeper) for one in _children(node)), at)
        case "binary_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            operator = node.child_by_field_name("operator")
            if left is None or right is None or operator is None:
                return Other("it is not complete", at)
            return Binary(_text(operator), _expr(left, deeper), _expr(right, deeper), at)
        case kind if kind in _TRANSPARENT and node.named_children:
            return _expr(node.named_children[0], deeper)
        case "ternary_expression":
            return Other("a condition decides it when the program runs", at)
        case _:
            return Other("it is decided when the program runs", at)


def _call(node: Node, depth: int) -> Expr:
    at = _at(node)
    function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    arguments = node.child_by_field_name("arguments")
    if function is None:
        return Other("it is not complete", at)
    given = [_expr(one, depth) for one in _children(arguments)] if arguments is not None else []
    last = _children(arguments)[-1].end_byte if given and arguments is not None else None
    options = given.pop() if given and isinstance(given[-1], Options) else None
    return Call(
        _expr(function, depth), tuple(given), options if isinstance(options, Options) else None, at, last
    )


def _object(node: Node, depth: int) -> Options:
    entries: dict[str, Expr] = {}
    spread = False
    held = _children(node)
    for one in held:
        if one.type == "pair":
            key, value = one.child_by_field_name("key"), one.child_by_field_name("value")
            if key is not None and value is not None and key.type != "computed_property_name":
                entries[_text(key).strip("'\"")] = _expr(value, depth)
        elif one.type == "shorthand_property_identifier":
            entries[_text(one)] = Name(_text(one), _at(one))
        elif one.type == "spread_element":
            # What stands in front of a spread may be overridden by it.
            spread = True
    return Options(entries, _at(node), spread, held[-1].end_byte if held else None)


def _template(node: Node, depth: int) -> Expr:
    at = _at(node)
    parts: list[Expr] = []
    for child in node.named_children:
        if child.type == "template_substitution" and child.named_children:
            parts.append(_expr(child.named_children[0], depth))
        else:
            parts.append(Text(_text(child), _at(child)))
    if all(isinstance(one, Text) for one in parts):
        return Text("".join(one.text for one in parts if isinstance(one, Text)), at)
    return Pieces(tuple(parts), at)


def _string(node: Node) -> Expr:
    start, end = _at(node)
    if any(child.type != "string_fragment" for child in node.named_children):
        return Other("it is a text with escapes", (start, end))
    return Text(_text(node)[1:-1], (start, end), (start + 1, end - 1))


def _number(node: Node) -> Expr:
    text = _text(node).replace("_", "").lower()
    try:
        number: int | float = int(text) if text.isdigit() and len(text) < 16 else float(text)
    except ValueError:
        return Other("it is no number that keepalign reads", _at(node))
    return Number(number, _at(node))


def _children(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _at(node: Node) -> Stretch:
    return node.start_byte, node.end_byte


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
