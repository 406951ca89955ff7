"""The servers that a Go program starts, and how it ends them, as its files write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keepalign.model.source import Site, Span
from keepalign.readers.golang._syntax import (
    Around,
    GoFile,
    arguments_of,
    elements_of,
    last_name,
    text_of,
)

if TYPE_CHECKING:
    from tree_sitter import Node

LIMITS: Final = ("IdleTimeout", "ReadTimeout", "ReadHeaderTimeout", "WriteTimeout")
_GIN, _ECHO, _FIBER = "github.com/gin-gonic/gin", "github.com/labstack/echo", "github.com/gofiber/fiber"
_FASTHTTP: Final = "github.com/valyala/fasthttp"
_STARTS: Final = ("ListenAndServe", "ListenAndServeTLS", "Serve")
_SHUTDOWNS: Final = ("Shutdown", "ShutdownWithContext", "ShutdownWithTimeout")
_SERVER_NAME: Final = re.compile(r"(?i)^(?:s|e|a|app|r|fiber|echo)$|srv|server|http|api|router")
# Of otherwise handling signals: fx and the like end what they started; their names say so.
_LIBRARIES: Final = re.compile(
    r"/fx$|oklog/run$|controller-runtime|kratos|go-zero|/gofr|/graceful|/manners|/endless|/tableflip"
    r"|(?<!os)/signals?$|/shutdown$|/lifecycle$|/suture"
)


class Kind(StrEnum):
    """Whose server it is, and so whose defaults hold."""

    NET_HTTP = "net/http"
    ECHO = "Echo"
    ECHO_5 = "Echo 5"
    FASTHTTP = "fasthttp"
    FIBER = "Fiber"


@dataclass(frozen=True, slots=True)
class Limit:
    """One place that sets a limit. `condition`: the line that decides whether it does; 0 for none."""

    file: GoFile
    value: Node
    whole: Node
    condition: int = 0


@dataclass(slots=True)
class Server:
    """One server.

    Args:
        name: the variable or field that holds it; empty when nothing names it.
        address: what it listens on, where that is written.
        further: where another limit can be written; "{name}" and "{value}" in its template.
    """

    kind: Kind
    file: GoFile
    node: Node
    name: str = ""
    address: Node | None = None
    limits: dict[str, Limit] = field(default_factory=dict)
    further: Site | None = None

    @property
    def place(self) -> Span:
        """Where it is made, or started; without what stands in its braces."""
        start = self.node.start_byte
        line = self.file.source.data.find(b"\n", start, self.node.end_byte)
        return self.file.source.span(start, self.node.end_byte if line == -1 else line)


@dataclass(frozen=True, slots=True)
class Stopping:
    """How the program ends.

    Args:
        shutdowns: calls that end a server gently, with the context or time that they are given.
        terminate: SIGTERM is one of the signals that it waits for.
        library: something that it imports may handle signals.
    """

    shutdowns: tuple[tuple[GoFile, Node], ...]
    terminate: bool
    library: bool


def servers_of(files: Iterable[GoFile]) -> list[Server]:
    """Every server, in the order of the files."""
    found: list[Server] = []
    assigned: list[tuple[str, str, Limit]] = []
    for file in files:
        found += _in_file(file, assigned)
    seen: set[tuple[int, str]] = set()
    for holder, option, limit in assigned:
        of = [one for one in found if one.file is limit.file and one.name == holder] or [
            one for one in found if holder and one.name == holder
        ]
        if not of and len(found) == 1 and (not found[0].name or _SERVER_NAME.search(holder)):
            of = found  # a field of another type that holds it
        if len(of) == 1:
            # Of several assignments the way through the program decides.
            again = (id(of[0]), option) in seen
            seen.add((id(of[0]), option))
            line = limit.whole.start_point[0] + 1
            of[0].limits[option] = replace(limit, condition=line) if again else limit
    return found


def _in_file(file: GoFile, assigned: list[tuple[str, str, Limit]]) -> list[Server]:
    http, gin = file.names("net/http"), file.names(_GIN)
    echo, fiber, fasthttp = file.names(_ECHO), file.names(_FIBER), file.names(_FASTHTTP)
    echo_kind = Kind.ECHO
    if any(re.match(re.escape(_ECHO) + r"/v(?:[5-9]|\d\d)", path) for path in file.imports.values()):
        echo_kind = Kind.ECHO_5
    types = {
        **{f"{name}.Server": Kind.NET_HTTP for name in http},
        **{f"{name}.Server": Kind.FASTHTTP for name in fasthttp},
        **{f"{name}.Config": Kind.FIBER for name in fiber},
        **{f"{name}.StartConfig": Kind.ECHO_5 for name in echo},
    }
    engines = _holders(
        file, {f"{n}.{f}" for n in gin for f in ("Default", "New")}, {f"{n}.Engine" for n in gin}
    )
    echos = _holders(file, {f"{name}.New" for name in echo}, {f"{name}.Echo" for name in echo})
    fibers = _holders(file, {f"{name}.New" for name in fiber}, {f"{name}.App" for name in fiber})
    functions = {
        **{f"{name}.{call}": Kind.NET_HTTP for name in http for call in _STARTS},
        **{f"{name}.{call}": Kind.FASTHTTP for name in fasthttp for call in _STARTS},
    }
    found: list[Server] = []
    for node, around in file.nodes:
        match node.type:
            case "composite_literal":
                kind = types.get(text_of(node.child_by_field_name("type"))[:80])
                if kind is not None:
                    found.append(_literal(file, node, kind, around))
            case "var_spec":
                kind = types.get(text_of(node.child_by_field_name("type")).lstrip("*")[:80])
                if kind is not None and node.child_by_field_name("value") is None:
                    found.append(Server(kind, file, node, text_of(node.child_by_field_name("name"))))
            case "assignment_statement":
                _assignment(file, node, around, assigned)
            case "call_expression":
                function, given = node.child_by_field_name("function"), arguments_of(node)
                called = text_of(function)[:80]
                holder = last_name(function.child_by_field_name("operand")) if function is not None else ""
                name = last_name(function)
                address = given[0] if given else None
                if called in functions:
                    found.append(Server(functions[called], file, node, address=address))
                elif called == "new" and given and text_of(given[0]) in types:
                    found.append(Server(types[text_of(given[0])], file, node, around.name))
                elif holder in engines and name in ("Run", "RunTLS"):
                    found.append(Server(Kind.NET_HTTP, file, node, holder, address))
                elif holder in echos and name in ("Start", "StartTLS", "StartAutoTLS", "StartH2CServer"):
                    found.append(Server(echo_kind, file, node, "Server", address))
                elif holder in fibers and name.startswith("Listen"):
                    found.append(Server(Kind.FIBER, file, node, holder, address))
            case _:
                pass
    return _fibers_once(found)


def _fibers_once(found: list[Server]) -> list[Server]:
    """Fiber's configuration and its Listen are one server."""
    configs = [one for one in found if one.kind is Kind.FIBER and one.node.type == "composite_literal"]
    listens = [one for one in found if one.kind is Kind.FIBER and one.node.type != "composite_literal"]
    if len(configs) != 1 or len(listens) > 1:
        return found
    for one in listens:
        configs[0].address, configs[0].name = one.address, one.name
    return [one for one in found if one not in listens]


def _literal(file: GoFile, node: Node, kind: Kind, around: Around) -> Server:
    server = Server(kind, file, node, around.name)
    body = node.child_by_field_name("body")
    elements = list(elements_of(node))
    for key, value, whole in elements:
        if key in LIMITS:
            server.limits[key] = Limit(file, value, whole)
        elif key in ("Addr", "Address"):
            server.address = value
    if body is None or not text_of(body).startswith("{") or file.imports.get("time") != "time":
        return server
    data, at = file.source.data, body.start_byte + 1
    place = file.source.span(at, at)
    if not elements:
        if not body.named_children:
            server.further = Site(place, "{name}: {value} * time.Second")
        return server
    first = elements[0][2]
    between = data[at : first.start_byte]
    if b"\n" in between and not between.strip():
        indent = between.rpartition(b"\n")[2].decode("utf-8", "replace")
        line_end = "\r\n" if b"\r\n" in between else "\n"
        server.further = Site(place, f"{line_end}{indent}{{name}}: {{value}} * time.Second,")
    elif not between.strip():
        server.further = Site(place, "{name}: {value} * time.Second, ")
    return server


def _assignment(file: GoFile, node: Node, around: Around, assigned: list[tuple[str, str, Limit]]) -> None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    targets = left.named_children if left is not None else []
    values = right.named_children if right is not None else []
    if len(targets) != 1 or len(values) != 1 or targets[0].type != "selector_expression":
        return
    option = last_name(targets[0])
    if option in LIMITS:
        holder = last_name(targets[0].child_by_field_name("operand"))
        assigned.append((holder, option, Limit(file, values[0], node, around.condition)))


def _holders(file: GoFile, makers: set[str], types: set[str]) -> set[str]:
    """Names that hold what one of `makers` made, or that are declared with one of `types`."""
    found: set[str] = set()
    if not makers and not types:
        return found
    for node, around in file.nodes:
        if node.type == "call_expression" and text_of(node.child_by_field_name("function")) in makers:
            found.add(around.name)
        elif node.type in ("parameter_declaration", "field_declaration", "var_spec"):
            declared = text_of(node.child_by_field_name("type")).lstrip("*")
            found |= {text_of(one) for one in node.children_by_field_name("name") if declared in types}
    return found - {""}


def stopping_of(files: Iterable[GoFile], servers: Iterable[Server], paths: Iterable[str]) -> Stopping:
    """How a program ends. `paths`: everything that it imports."""
    names = {one.name for one in servers if one.name}
    shutdowns: list[tuple[str, GoFile, Node]] = []
    terminate = False
    for file in files:
        signal = file.names("os/signal")
        for node, _ in file.nodes:
            if node.type == "selector_expression":
                terminate |= text_of(node.child_by_field_name("field")) == "SIGTERM"
            elif node.type == "call_expression":
                function = node.child_by_field_name("function")
                holder = function.child_by_field_name("operand") if function is not None else None
                if text_of(holder) in signal and last_name(function) in ("Notify", "NotifyContext"):
                    terminate |= len(arguments_of(node)) == 1  # Notify of every signal
                elif last_name(function) in _SHUTDOWNS:
                    shutdowns.append((last_name(holder), file, node))
    own = [(file, node) for name, file, node in shutdowns if name in names]
    alike = [(file, node) for name, file, node in shutdowns if _SERVER_NAME.search(name)]
    library = any(_LIBRARIES.search(path) for path in paths)
    return Stopping(tuple(own or alike), terminate, library)


def deadline_of(file: GoFile, call: Node) -> Node | bool | None:
    """The time that a Shutdown is given; True where it has none; None where that is not known."""
    given = arguments_of(call)
    if not given:
        return True
    if last_name(call.child_by_field_name("function")) == "ShutdownWithTimeout":
        return given[0]
    called = text_of(given[0])
    if called in ("context.Background()", "context.TODO()", "nil"):
        return True
    made = _deadlines(file)
    before = [value for at, name, value in made if name == called and at < call.start_byte]
    return before[-1] if before else None


def _deadlines(file: GoFile) -> list[tuple[int, str, Node]]:
    """Of contexts with a timeout: where they are made, their names, their times."""
    found = []
    for node, _ in file.nodes:
        if node.type in ("short_var_declaration", "assignment_statement"):
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            call = right.named_children[0] if right is not None and right.named_children else None
            if call is None or call.type != "call_expression" or left is None or not left.named_children:
                continue
            name = text_of(call.child_by_field_name("function"))
            given = arguments_of(call)
            if name in ("context.WithTimeout", "context.WithTimeoutCause") and len(given) >= 2:
                found.append((node.start_byte, text_of(left.named_children[0]), given[1]))
    return found
