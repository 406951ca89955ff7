"""One JavaScript or TypeScript file: which server it starts, with which limits, and whether it heeds SIGTERM.

The grammar always gives a tree; what it could not read is passed over, so a file never fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from keepalign.model.source import Site, SourceText, Span, Unit
from keepalign.readers._flags import Value
from keepalign.readers._reader import Fragment
from keepalign.readers.nodejs._folding import Folder, Known, Lost, Stretch, is_number, text_of

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

KEEP_ALIVE: Final = "keepAliveTimeout"
HEADERS: Final = "headersTimeout"
REQUEST: Final = "requestTimeout"
SILENCE: Final = "timeout"
_NAMES: Final = (KEEP_ALIVE, HEADERS, REQUEST)
_SERVER: Final = re.compile(r"server\d*\Z", re.IGNORECASE)
_TYPESCRIPT: Final = (".ts", ".mts", ".cts")
JAVASCRIPT: Final = (".js", ".mjs", ".cjs", ".jsx", *_TYPESCRIPT)
_FUNCTIONS: Final = frozenset({
    "function_declaration", "function_expression", "arrow_function", "method_definition",
    "generator_function", "generator_function_declaration",
})  # fmt: skip
_CONDITIONS: Final = frozenset({
    "if_statement", "switch_statement", "ternary_expression", "for_statement", "for_in_statement",
    "while_statement", "do_statement", "catch_clause",
})  # fmt: skip
# Conditions that hold in the process that serves.
_ALWAYS: Final = ("require.main", "import.meta", "module.parent", "cluster.")
_SERVERS: Final = frozenset({"createServer", "createSecureServer"})
_CLOSING: Final = frozenset({"close", "closeGracefully", "gracefulShutdown", "shutdown", "stop", "terminate"})
# Of packages that end a server on SIGTERM, and Nest's own.
_HANDLING: Final = frozenset({"closeWithGrace", "createTerminus", "enableShutdownHooks", "gracefulShutdown"})


@dataclass(frozen=True, slots=True)
class Found:
    """One place that sets a limit of the server.

    Args:
        name: of the limit, as Node.js calls it: "keepAliveTimeout".
        value: a number of milliseconds, as text.
        fastify: as an option of Fastify, which a later assignment to the server overrides.
    """

    value: Value
    fastify: bool
    name: str = KEEP_ALIVE


@dataclass(frozen=True, slots=True)
class NodeSource(Fragment):
    """What one file says.

    Args:
        found: in the order of the file.
        listens: it calls `.listen(…)`.
        ports: numbers that it listens on.
        fastify: it starts servers with Fastify.
        own_server: and with `serverFactory`, which ignores Fastify's options.
        plain: it starts servers of Node's own, directly or through Express and the like.
        sigterm: it has a handler for SIGTERM.
        closes: it calls something whose name says that it stops a server.
        further: where an assignment of the keep-alive timeout can be written; None when nowhere safe.
    """

    found: tuple[Found, ...] = ()
    listens: bool = False
    ports: tuple[int, ...] = ()
    fastify: bool = False
    own_server: bool = False
    plain: bool = False
    sigterm: bool = False
    closes: bool = False
    place: Span | None = None
    further: Site | None = None


@cache
def _parser(typescript: bool) -> Parser:
    # Imported here: a tree without Node.js should not wait for it.
    import tree_sitter

    if typescript:
        import tree_sitter_typescript

        return tree_sitter.Parser(tree_sitter.Language(tree_sitter_typescript.language_typescript()))
    import tree_sitter_javascript

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_javascript.language()))


def read_source(source: SourceText, environment: Mapping[str, str | None] | None = None) -> NodeSource:
    """What the file says.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
    """
    tree = _parser(source.file.endswith(_TYPESCRIPT)).parse(source.data)
    return _Scan(source, tree.root_node, dict(environment or {})).fragment()


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a node: the condition it depends on, the statement, and the call or `new` whose
    argument it is."""

    condition: int = 0
    statement: Node | None = None
    call: str = ""


class _Scan:
    def __init__(self, source: SourceText, root: Node, env: Mapping[str, str | None]) -> None:
        self._source = source
        self._nodes = list(_walk(root))
        self._folder = Folder(_constants(node for node, _ in self._nodes), env)
        self._found: list[Found] = []
        self._ports: dict[int, None] = {}
        self._place: Span | None = None
        self._further: Site | None = None
        self._fastify = self._own_server = self._plain = False
        self._sigterm = self._closes = False

    def fragment(self) -> NodeSource:
        for node, around in self._nodes:
            match node.type:
                case "assignment_expression":
                    self._assignment(node, around)
                case "pair" | "shorthand_property_identifier":
                    self._option(node, around)
                case "call_expression" | "new_expression":
                    self._call(node, around)
                case "import_statement":
                    self._import(node.child_by_field_name("source"))
                case _:
                    pass
        return NodeSource(
            self._source.file,
            found=tuple(self._found),
            listens=self._place is not None,
            ports=tuple(self._ports),
            fastify=self._fastify,
            own_server=self._own_server,
            plain=self._plain,
            sigterm=self._sigterm,
            closes=self._closes,
            place=self._place,
            further=self._further,
        )

    def _span(self, stretch: Stretch) -> Span:
        return self._source.span(*stretch)

    def _import(self, name: Node | None) -> None:
        module = text_of(name).strip("'\"") if name is not None else ""
        if module in ("fastify", "@nestjs/platform-fastify"):
            self._fastify = True
        elif module in ("express", "koa", "restify"):
            self._plain = True

    def _assignment(self, node: Node, around: _Around) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return
        name = _last_name(left)
        # Much has a timeout; only that of something called a server is meant.
        if name in _NAMES or (name == SILENCE and _of_server(left)):
            self._found.append(Found(self._value(right, node, around), fastify=False, name=name))

    def _option(self, node: Node, around: _Around) -> None:
        called = around.call
        of_fastify = called.lower().endswith(("fastify", "fastifyadapter"))
        if not of_fastify and called not in _SERVERS:
            return
        if node.type == "pair":
            key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
            name = text_of(key).strip("'\"") if key is not None else ""
        else:
            name, value = text_of(node), node
        if name == "serverFactory":
            self._own_server = True
        if name in _NAMES and value is not None:
            self._found.append(Found(self._value(value, node, around), fastify=of_fastify, name=name))

    def _value(self, value: Node, whole: Node, around: _Around) -> Value:
        span = self._span((whole.start_byte, whole.end_byte))
        what = text_of(whole).partition("\n")[0].strip()[:120]
        found = self._folder.worth(value)
        if isinstance(found, Known) and isinstance(found.constant, str) and not is_number(found.constant):
            found = Lost(f"{found.constant!r} is no number of milliseconds")
        if isinstance(found, Known) and not _whole(found.constant):
            found = Lost(f"{found.constant} is no whole number of milliseconds")
        if around.condition and isinstance(found, Known):
            found = Lost(f"line {around.condition} decides whether it is set")
        if isinstance(found, Lost):
            return Value(None, span, what, reason=found.reason)
        via = tuple((name, self._span(place)) for name, place in found.via)
        site = self._span(found.literal) if found.literal is not None else None
        text = found.constant if isinstance(found.constant, str) else str(int(found.constant))
        return Value(text, span, what, site, via=via, note=found.note)

    def _call(self, node: Node, around: _Around) -> None:
        function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        arguments = node.child_by_field_name("arguments")
        given = arguments.named_children if arguments is not None else []
        if function is None:
            return
        name = _last_name(function)
        self._closes |= name in _CLOSING or name in _HANDLING
        self._sigterm |= name in _HANDLING
        if name == "require" and given:
            self._import(given[0])
        elif name in _SERVERS:
            self._plain = True
        elif name in ("on", "once") and given and _object_name(function) == "process":
            self._sigterm |= text_of(given[0]).strip("'\"`") == "SIGTERM"
        elif name == "listen" and function.type == "member_expression" and _may_listen(given):
            self._listen(node, function, given, around)

    def _listen(self, node: Node, function: Node, given: list[Node], around: _Around) -> None:
        first = self._place is None
        if first:
            self._place = self._span((node.start_byte, given[0].end_byte if given else node.end_byte))
        port = given[0] if given else None
        if port is not None and port.type == "object":
            pairs = [pair for pair in port.named_children if pair.type == "pair"]
            named = [p for p in pairs if text_of(p.named_children[0]).strip("'\"") == "port"]
            port = named[0].child_by_field_name("value") if named else None
        worth = self._folder.worth(port) if port is not None else None
        if isinstance(worth, Known) and re.fullmatch(r"[0-9]{1,5}", str(worth.constant)):
            self._ports[int(worth.constant)] = None
        if not first:
            self._further = None  # one of them serves metrics, or another protocol
            return
        statement = around.statement
        # `app.listen(80);` alone: what it returns is the server, except of Fastify and Nest (a promise).
        if statement is not None and statement.type == "expression_statement":
            alone = statement.named_children[:1] == [node]
            if alone and not around.condition and self._further is None:
                end = self._span((node.end_byte, node.end_byte))
                self._further = Site(end, f".{KEEP_ALIVE} = {{value}}", Unit.MILLISECONDS)
        elif statement is not None and statement.type in ("lexical_declaration", "variable_declaration"):
            self._behind(statement, node, around)

    def _behind(self, statement: Node, node: Node, around: _Around) -> None:
        """`const server = app.listen(80);`: an assignment on the next line."""
        declarators = [one for one in statement.named_children if one.type == "variable_declarator"]
        if len(declarators) != 1 or around.condition or self._further is not None:
            return
        name, value = declarators[0].child_by_field_name("name"), declarators[0].child_by_field_name("value")
        if name is None or name.type != "identifier" or value != node:
            return
        data = self._source.data
        line = data.rfind(b"\n", 0, statement.start_byte) + 1
        indent = data[line : statement.start_byte].decode("utf-8", "replace")
        if indent.strip():
            return
        end = self._span((statement.end_byte, statement.end_byte))
        semicolon = ";" if text_of(statement).endswith(";") else ""
        text = f"\n{indent}{text_of(name)}.{KEEP_ALIVE} = {{value}}{semicolon}"
        self._further = Site(end, text, Unit.MILLISECONDS)


def _walk(root: Node) -> Iterator[tuple[Node, _Around]]:
    """Every node in order, with what stands around it."""
    waiting: list[tuple[Node, _Around]] = [(root, _Around())]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        kind = node.type
        if kind in _FUNCTIONS:
            around = _Around(around.condition)
        elif kind in _CONDITIONS:
            around = _Around(around.condition or _condition(node))
        elif kind.endswith("_statement") or kind in ("lexical_declaration", "variable_declaration"):
            around = _Around(around.condition, node)
        elif kind in ("call_expression", "new_expression"):
            function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
            around = _Around(around.condition, around.statement, _last_name(function) if function else "")
        waiting += [(child, around) for child in reversed(node.named_children)]


def _condition(node: Node) -> int:
    """The line of a condition that may not hold; 0 for those that hold in the process that serves."""
    condition = node.child_by_field_name("condition")
    held = text_of(condition)[:200] if condition is not None else ""
    return 0 if any(word in held for word in _ALWAYS) else node.start_point[0] + 1


def _constants(nodes: Iterator[Node]) -> dict[str, Node]:
    """Names that are declared once, by `const`, to their expressions."""
    found: dict[str, Node | None] = {}
    for node in nodes:
        if node.type not in ("variable_declarator", "required_parameter", "assignment_expression"):
            continue
        name = node.child_by_field_name("name") or node.child_by_field_name("left")
        if name is None or name.type != "identifier":
            continue
        plain = node.type == "variable_declarator" and text_of(name) not in found
        found[text_of(name)] = node.child_by_field_name("value") if plain else None
    return {name: node for name, node in found.items() if node is not None}


def _last_name(node: Node) -> str:
    """`keepAliveTimeout` of `a().b.keepAliveTimeout`; the name itself of an identifier."""
    if node.type == "member_expression":
        name = node.child_by_field_name("property")
        return text_of(name) if name is not None else ""
    if node.type == "subscript_expression":
        index = node.child_by_field_name("index")
        return text_of(index).strip("'\"") if index is not None and index.type == "string" else ""
    return text_of(node) if node.type == "identifier" else ""


def _object_name(function: Node) -> str:
    held = function.child_by_field_name("object")
    return text_of(held) if held is not None and held.type == "identifier" else ""


def _of_server(member: Node) -> bool:
    """Whether a member's object is called a server: `server.timeout`, `this.httpServer.timeout`."""
    held = member.child_by_field_name("object")
    return held is not None and _SERVER.search(_last_name(held)) is not None


def _may_listen(given: list[Node]) -> bool:
    """Whether these can be the arguments of a server; an event's name is none."""
    if not given:
        return True
    text = text_of(given[0])[:20].strip("'\"`") if given[0].type == "string" else ""
    return given[0].type != "string" or is_number(text) or text.startswith(("/", "\\\\"))


def _whole(constant: float | int | str) -> bool:
    return isinstance(constant, str) or (constant == int(constant) and constant >= 0)
