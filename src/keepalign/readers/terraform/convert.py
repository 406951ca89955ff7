"""tree-sitter-hcl's tree to our nodes.

The grammar is made for editors, so it forgives and simplifies where an evaluator must not. Put right here:

- `a ? b : c ? d : e` comes as `(a ? b : c) ? d : e`; HCL's conditional is right-associative.
- Indexes behind `x.*.y` belong to the whole result in HCL, not to each element.
- Two arguments on one line, and one argument written twice, are accepted; Terraform refuses them.

Bodies are converted at once, expressions when they are asked for: only a few feed a timeout.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from keepalign.model.source import SourceText
from keepalign.readers.terraform.convert_templates import Templates
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
    ObjectItem,
    Paren,
    Splat,
    Template,
    TextPart,
    TupleExpr,
    Unary,
)  # fmt: skip
from keepalign.readers.terraform.structure import Attribute, Block, Body
from keepalign.readers.terraform.tree_text import TreeText

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode

# Far beyond what people write (a container definition is about ten levels deep), and small enough that
# neither the conversion nor the evaluation comes near Python's recursion limit of 1,000 frames.
MAX_EXPRESSION_DEPTH: Final = 60
MAX_BLOCK_DEPTH: Final = 30

_WRAPPERS: Final = frozenset({"literal_value", "template_expr", "collection_value", "for_expr", "operation"})


class Converter(TreeText):
    """Tree nodes of one file to ours."""

    def __init__(self, source: SourceText, data: bytes, shift: int = 0) -> None:
        super().__init__(source, data, shift)
        self._templates = Templates(self, self.expr)

    # Structure

    def body(self, node: TreeNode, depth: int) -> Body:
        if depth > MAX_BLOCK_DEPTH:
            self.fail(node.start_byte, f"blocks are nested more than {MAX_BLOCK_DEPTH} levels deep")
        body = Body()
        previous: TreeNode | None = None
        for child in node.named_children:
            if child.type not in ("attribute", "block"):
                continue
            if previous is not None and b"\n" not in self.data[previous.end_byte - 1 : child.start_byte]:
                self.fail(
                    child.start_byte - self.shift,
                    "invalid HCL: a second definition on the same line",
                    hint="write each argument and block on its own line",
                )
            previous = child
            if child.type == "attribute":
                attribute = self._attribute(child)
                if attribute.name in body.attributes:
                    first = body.attributes[attribute.name]
                    line = self.source.span(first.start, first.start).line
                    self.fail(
                        attribute.start,
                        f"{attribute.name} is set twice: here and in line {line}",
                        hint="Terraform refuses this file until one of them is removed",
                    )
                body.attributes[attribute.name] = attribute
            else:
                body.blocks.append(self._block(child, depth))
        return body

    def _attribute(self, node: TreeNode) -> Attribute:
        name, *_, expr = [child for child in node.named_children if child.type != "comment"]
        return Attribute(
            self.source,
            self.text(name),
            node.start_byte - self.shift,
            self.trimmed(expr),
            lambda: self.expr(expr),
        )

    def _block(self, node: TreeNode, depth: int) -> Block:
        words: list[str] = []
        body = Body()
        open_end = node.end_byte
        for child in node.named_children:
            if child.type == "identifier":
                words.append(self.text(child))
            elif child.type == "string_lit":
                words.append(self.text(child)[1:-1])
            elif child.type == "block_start":
                open_end = child.end_byte
            elif child.type == "body":
                body = self.body(child, depth + 1)
        last = next(reversed(body.attributes.values()), None)
        return Block(
            self.source, words[0], tuple(words[1:]), body, node.start_byte, node.end_byte, open_end, last
        )

    # Expressions

    def expr(self, node: TreeNode, depth: int = 0) -> Expr:
        """One expression. Raises: ReadError: nested too deep, or a bad escape in a string."""
        if depth > MAX_EXPRESSION_DEPTH:
            self.fail(
                node.start_byte - self.shift,
                f"this expression is nested more than {MAX_EXPRESSION_DEPTH} levels deep",
                hint="move parts of it into locals",
            )
        children = [child for child in node.children if child.type != "comment"]
        while node.type in _WRAPPERS or (node.type == "expression" and len(children) == 1):
            node = children[0]
            children = [child for child in node.children if child.type != "comment"]
        match node.type:
            case "expression":
                return self._with_traversal(node, children, depth)
            case "numeric_lit" | "bool_lit" | "null_lit":
                return self._literal(node)
            case "string_lit" | "quoted_template":
                inner = (children[0].end_byte, children[-1].start_byte)
                self._templates.check_lines(children[1:-1], *inner)
                parts = self._templates.parts(children[1:-1], *inner, depth, quoted=True)
                return Template(
                    *self.at(node), parts=parts, inner=(inner[0] - self.shift, inner[1] - self.shift)
                )
            case "heredoc_template":
                return self._templates.heredoc(node, children, depth)
            case "tuple":
                return TupleExpr(
                    *self.at(node),
                    items=tuple(self.expr(c, depth + 1) for c in children if c.type == "expression"),
                )
            case "object":
                elements = [c for c in children if c.type in ("object_elem", ",")]
                for one, other in pairwise(elements):
                    between = self.data[one.end_byte - 1 : other.start_byte]
                    if one.type == other.type == "object_elem" and b"\n" not in between:
                        self.fail(
                            other.start_byte - self.shift, "invalid HCL: a comma or line end is missing here"
                        )
                return ObjectExpr(
                    *self.at(node),
                    items=tuple(self._object_item(c, depth) for c in elements if c.type == "object_elem"),
                )
            case "for_tuple_expr" | "for_object_expr":
                return self._for(node, children, depth)
            case "function_call":
                return self._call(node, children, depth)
            case "variable_expr" | "identifier":
                return Name(*self.at(node), name=self.text(node))
            case "conditional":
                return self._conditional(node, children, depth)
            case "unary_operation":
                operand = self._operand(children[1:], depth)
                return Unary(*self.at(node), operator=self.text(children[0]), operand=operand)
            case "binary_operation":
                middle = next(i for i, c in enumerate(children) if i > 0 and self._is_operator(c))
                return Binary(
                    *self.at(node),
                    operator=self.text(children[middle]),
                    left=self._operand(children[:middle], depth),
                    right=self._operand(children[middle + 1 :], depth),
                )
            case other:
                self.fail(
                    node.start_byte - self.shift, f"invalid HCL: {other.replace('_', ' ')} is not expected"
                )

    @staticmethod
    def _is_operator(node: TreeNode) -> bool:
        return not node.is_named and node.type not in ("(", ")")

    def _operand(self, nodes: list[TreeNode], depth: int) -> Expr:
        """An operand: the tree lists its head and its `.a`, `[0]`, `(…)` beside the operator."""
        if len(nodes) == 1:
            return self.expr(nodes[0], depth + 1)
        return self._with_traversal(None, nodes, depth)

    def _with_traversal(self, node: TreeNode | None, children: list[TreeNode], depth: int) -> Expr:
        """A head with `.a`, `[0]` and `[*]` behind it; the head may be `( expression )`."""
        if children[0].type == "(":
            close = next(i for i, c in enumerate(children) if c.type == ")")
            inner = self.expr(children[1], depth + 1)
            head: Expr = Paren(
                self.source,
                children[0].start_byte - self.shift,
                children[close].end_byte - self.shift,
                inner=inner,
            )
            rest = children[close + 1 :]
        else:
            head = self.expr(children[0], depth + 1)
            rest = children[1:]
        return self._steps(head, rest, depth)

    def _steps(self, head: Expr, steps: list[TreeNode], depth: int) -> Expr:
        if depth + len(steps) > MAX_EXPRESSION_DEPTH:
            self.fail(head.start, f"this reference has more than {MAX_EXPRESSION_DEPTH} steps")
        for node in steps:
            at = (self.source, head.start, node.end_byte - self.shift)
            match node.type:
                case "get_attr":
                    head = Attr(*at, of=head, name=self.text(node.named_children[-1]))
                case "index":
                    head = Index(*at, of=head, key=self._index_key(node.children[0], depth))
                case "splat":
                    head = self._splat(head, node.children[0], depth)
                case other:
                    self.fail(node.start_byte - self.shift, f"invalid HCL: {other} is not expected")
        return head

    def _index_key(self, node: TreeNode, depth: int) -> Expr:
        if node.type == "legacy_index":
            digits = self.raw(node)[1:].strip()
            start, end = node.end_byte - len(digits) - self.shift, node.end_byte - self.shift
            return Literal(self.source, start, end, value=self._number(digits, node))
        return self.expr(next(c for c in node.named_children if c.type != "comment"), depth + 1)

    def _splat(self, head: Expr, node: TreeNode, depth: int) -> Expr:
        steps = [c for c in node.children if c.is_named and c.type != "comment"]
        inside = len(steps)
        if node.type == "attr_splat":
            inside = next((i for i, c in enumerate(steps) if c.type != "get_attr"), inside)
        end = (steps[inside - 1].end_byte if inside else node.children[0].end_byte) - self.shift
        item: Expr = Name(self.source, head.start, head.end, name=SPLAT_ITEM)
        each = self._steps(item, steps[:inside], depth)
        splat = Splat(self.source, head.start, end, of=head, each=each)
        return self._steps(splat, steps[inside:], depth)

    def _literal(self, node: TreeNode) -> Literal:
        raw = self.raw(node)
        value = {b"true": True, b"false": False, b"null": None}.get(raw, 0)
        if node.type == "numeric_lit":
            return Literal(*self.at(node), value=self._number(raw, node))
        return Literal(*self.at(node), value=value)

    def _number(self, raw: bytes, node: TreeNode) -> int | float:
        text = raw.decode("ascii", "replace")
        if len(text) > 100:
            self.fail(node.start_byte - self.shift, "a number of more than 100 digits")
        try:
            return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            self.fail(node.start_byte - self.shift, f"invalid HCL: {text!r} is not a number")
        return int(number) if number.is_integer() and abs(number) < 1e15 else number

    def _object_item(self, node: TreeNode, depth: int) -> ObjectItem:
        key_node = node.child_by_field_name("key")
        value_node = node.child_by_field_name("val")
        if key_node is None or value_node is None:
            self.fail(node.start_byte - self.shift, "invalid HCL: an object element needs a key and a value")
        key = self.expr(key_node, depth + 1)
        if isinstance(key, Name | Literal):
            part = TextPart(key.source, key.start, key.end, value=key.text, verbatim=True)
            key = Template(key.source, key.start, key.end, parts=(part,), inner=None)
        value = self.expr(value_node, depth + 1)
        start, end = self.trimmed(node)
        return ObjectItem(self.source, start, end, key=key, value=value)

    def _for(self, node: TreeNode, children: list[TreeNode], depth: int) -> ForExpr:
        intro = next(c for c in children if c.type == "for_intro")
        names = [self.text(c) for c in intro.children if c.type == "identifier"]
        collection = next(c for c in intro.children if c.type == "expression")
        results = [self.expr(c, depth + 1) for c in children if c.type == "expression"]
        condition = next((c for c in children if c.type == "for_cond"), None)
        is_object = node.type == "for_object_expr"
        return ForExpr(
            *self.at(node),
            key=names[0] if len(names) > 1 else None,
            value=names[-1],
            collection=self.expr(collection, depth + 1),
            result_key=results[0] if is_object else None,
            result=results[-1],
            condition=None
            if condition is None
            else self.expr(next(c for c in condition.children if c.type == "expression"), depth + 1),
            group=any(c.type == "ellipsis" for c in children),
        )

    def _call(self, node: TreeNode, children: list[TreeNode], depth: int) -> Call:
        arguments = next((c for c in children if c.type == "function_arguments"), None)
        given = [] if arguments is None else arguments.children
        return Call(
            *self.at(node),
            name=self.text(children[0]),
            args=tuple(self.expr(c, depth + 1) for c in given if c.type == "expression"),
            expand=any(c.type == "ellipsis" for c in given),
        )

    def _conditional(self, node: TreeNode, children: list[TreeNode], depth: int) -> Expr:
        # The left spine of the tree is the chain of conditions; see the module's docstring.
        branches: list[tuple[TreeNode, TreeNode]] = []
        while True:
            condition, then, otherwise = [c for c in children if c.is_named]
            branches.append((then, otherwise))
            inner = [c for c in condition.children if c.type != "comment"]
            if len(inner) != 1 or inner[0].type != "conditional":
                break
            children = [c for c in inner[0].children if c.type != "comment"]
        if depth + len(branches) > MAX_EXPRESSION_DEPTH:
            self.fail(node.start_byte - self.shift, f"more than {MAX_EXPRESSION_DEPTH} conditionals in a row")
        conditions = [condition, *(otherwise for _, otherwise in reversed(branches[1:]))]
        thens = [then for then, _ in reversed(branches)]
        result = self.expr(branches[0][1], depth + 1)
        for test, then in zip(reversed(conditions), reversed(thens), strict=True):
            start = test.start_byte - self.shift
            result = Conditional(
                self.source, start, result.end,
                condition=self.expr(test, depth + 1), then=self.expr(then, depth + 1), otherwise=result,
            )  # fmt: skip
        return result
