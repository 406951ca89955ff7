"""Arguments to settings: what httpd makes of "5", "500ms", "0", and where another value would be written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, Span, Step, Unit
from keepalign.readers._reader import Absent, Note, Read
from keepalign.readers.apache_httpd._syntax import show
from keepalign.readers.apache_httpd._tree import Item, Literal, Tree
from keepalign.units import Duration

_WITH_UNIT: Final = re.compile(r"\+?(\d+)(?:(ms|mi|s|h).*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_UNITS_S: Final = {"": 1, "s": 1, "mi": 60, "h": 3600}
_ATOI: Final = re.compile(r"\s*([+-]?\d+)(.*)", re.ASCII | re.DOTALL)

LARGEST_S: Final = 2**31 - 1
"""atoi answers with a C int; what lies above is undefined there."""

Report = Callable[[Note], None]


def origin(item: Item, literal: Literal, *lead: Step, what: str = "", span: Span | None = None) -> Origin:
    """From `lead` (where the value takes effect, when that is another line) to the line that writes it."""
    own = Step(span or item.line.span, what or item.line.text)
    steps = (*lead, own, *(Step(place, text) for text, place in literal.via))
    return Origin(OriginKind.FILE, steps=steps)


def unknown(option: str, where: Origin, reason: str) -> Unknown:
    """A value that the files do not settle."""
    return Unknown(option=option, origin=where, reason=reason)


def _unresolved(option: str, where: Origin, literal: Literal) -> Unknown:
    name = show(literal.unresolved)
    return unknown(
        option, where, f"${{{name}}} is no Define of these files, so it comes from the environment"
    )


def keep_alive_timeout(literal: Literal, where: Origin) -> Read:
    """KeepAliveTimeout: whole seconds, or a number with ms, s, mi or h (`ap_timeout_parameter_parse`).

    httpd looks at the first letters of the unit only, so "5seconds" are 5 s.
    """
    option = "KeepAliveTimeout"
    if literal.unresolved:
        return _unresolved(option, where, literal)
    match = _WITH_UNIT.fullmatch(literal.text)
    if match is None:
        return unknown(option, where, f"{show(literal.text)!r} is no duration that httpd accepts")
    number, suffix = int(match[1]), (match[2] or "").lower()
    if number > LARGEST_S:
        return unknown(option, where, f"{number} is too large a number")
    milliseconds = suffix == "ms"
    template = {"": "{value}", "s": "{value}s", "ms": "{value}ms"}.get(suffix, "{value}")
    unit = Unit.MILLISECONDS if milliseconds else Unit.SECONDS
    site = Site(literal.span, template, unit) if literal.span else None
    value = Duration.of(ms=number) if milliseconds else Duration.of(s=number * _UNITS_S[suffix])
    return Explicit(option=option, origin=where, site=site, value=value)


def whole_seconds(
    option: str, literal: Literal, where: Origin, report: Report, *, minimum: int = 0, named: str = ""
) -> Read:
    """An option that httpd reads with atoi: the leading digits are seconds, whatever follows them.

    `minimum`: below it httpd does not start. `named`: the directive or key, for notes; `option` when empty.
    """
    if literal.unresolved:
        return _unresolved(option, where, literal)
    match = _ATOI.fullmatch(literal.text)
    if match is None:
        return unknown(option, where, f"{show(literal.text)!r} is no whole number of seconds")
    number = int(match[1])
    if not minimum <= number <= LARGEST_S:
        return unknown(option, where, f"httpd does not accept {number} here")
    if match[2]:
        named = named or option
        report(
            Note(
                literal.span or where.literal,
                f"{named} {show(literal.text)} means {number} s: httpd reads the digits as whole seconds"
                f" and ignores {show(match[2])!r}",
            )
        )
    site = Site(literal.span) if literal.span else None
    return Explicit(option=option, origin=where, site=site, value=Duration.of(s=number))


_NEIGHBOURS: Final = {
    "KeepAliveTimeout": ("keepalive", "maxkeepaliverequests"),
    "Timeout": ("proxytimeout",),
    "GracefulShutdownTimeout": (),
}
"""A new line goes behind the last of these; else behind the last of `_FAMILY`."""

_FAMILY: Final = (
    "timeout", "keepalive", "maxkeepaliverequests", "keepalivetimeout", "proxytimeout",
    "gracefulshutdowntimeout",
)  # fmt: skip


def insertion(tree: Tree, name: str) -> Site | None:
    """Where the main file can take a new line `name` in the main server's scope; None when nowhere safe."""
    if name not in tree.sites:
        tree.sites[name] = _insertion(tree, name)
    return tree.sites[name]


def _insertion(tree: Tree, name: str) -> Site | None:
    top = [i for i in tree.items if i.main and not i.sections]
    plain = [i for i in top if not i.line.name.startswith("<")]
    if name == "GracefulShutdownTimeout":
        # The directive exists only once its MPM is loaded; above that line httpd would not start.
        loads = [
            n for n, i in enumerate(tree.items) if i.name == "loadmodule" or i.name.startswith("include")
        ]
        above = {id(i) for i in tree.items[: loads[-1]]} if loads else set()
        plain = [i for i in plain if id(i) not in above]
    for family in (_NEIGHBOURS[name], _FAMILY):
        near = [i for i in plain if i.name in family]
        if near:
            return _behind(near[-1], name)
    section = next((n for n, i in enumerate(top) if i.line.name.startswith("<")), len(top))
    below = {id(i) for i in plain}  # comparing by value would take time in the square of the lines
    before = [i for i in top[:section] if id(i) in below]
    if before:
        return _behind(before[-1], name)
    if name == "GracefulShutdownTimeout":
        return _behind(plain[-1], name) if plain else None
    if section < len(top):
        line = top[section].line
        return Site(line.source.span(line.start_at, line.start_at), f"{name} {{value}}{line.newline}")
    return None


def _behind(item: Item, name: str) -> Site | None:
    line = item.line
    if line.insert_at is None:
        return None
    place = line.source.span(line.insert_at, line.insert_at)
    return Site(place, f"{line.newline}{line.indent}{name} {{value}}")


class ServerValues:
    """The directives of one scope (the main server or a virtual host): of each name the last one counts."""

    def __init__(self, items: list[Item], parent: ServerValues | None = None) -> None:
        self._items = [item for item in items if item.values]
        self._last = {item.name: item for item in self._items}
        self.parent = parent

    def own(self, name: str) -> Item | None:
        """The last directive of this name in the scope itself."""
        return self._last.get(name)

    def losers(self, winner: Item) -> tuple[Step, ...]:
        """The lines of this scope that set what `winner` sets, to another value, and do not count."""
        return tuple(
            Step(item.line.span, item.line.text)
            for item in reversed(self._items)
            if item.name == winner.name and item.values[0].text != winner.values[0].text
        )

    def effective(self, name: str) -> Item | None:
        """The scope's own, else the main server's."""
        return self.own(name) or (self.parent.effective(name) if self.parent else None)

    @property
    def io_timeout(self) -> Item | None:
        """The `Timeout` in force; a virtual host's `Timeout 0` leaves the main server's (tried on 2.4.71)."""
        item = self.own("timeout")
        if self.parent is not None and (item is None or re.fullmatch(r"\s*[+-]?0+\D*", item.values[0].text)):
            return self.parent.io_timeout
        return item

    @property
    def keep_alive_off(self) -> Item | None:
        """The `KeepAlive Off` in force."""
        item = self.effective("keepalive")
        return item if item is not None and item.values[0].text.lower() == "off" else None


def absent(tree: Tree, option: str, *, site: Site | None, where: Origin | None = None) -> Read:
    """Nobody wrote it; Unknown instead when an Include could not be read and may hold it."""
    if tree.unread:
        item = tree.unread[0]
        reason = f"it may be set in a file that was not read ({item.line.text})"
        return unknown(
            option, where or Origin(OriginKind.FILE, (Step(item.line.span, item.line.text),)), reason
        )
    return Absent(option, site)


def disabled(option: str, item: Item) -> Disabled:
    """Switched off by `item`."""
    return Disabled(option=option, origin=origin(item, item.values[0]))


_CAPACITY: Final = {
    "maxrequestworkers": "max_request_workers",
    "maxclients": "max_request_workers",  # its name before 2.3.13, still taken
    "serverlimit": "server_limit",
    "threadsperchild": "threads_per_child",
    "asyncrequestworkerfactor": "async_request_worker_factor",
}
_COUNT: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)


def capacity(tree: Tree, items: Iterable[Item]) -> dict[str, str]:
    """The counts that limit how many connections are served at once, by trait: of each the last one written.

    "*" for what is no number, and for what an Include that was not read may set.
    """
    found = dict.fromkeys(_CAPACITY.values(), "*") if tree.unread else {}
    for item in items:
        trait = _CAPACITY.get(item.name)
        if trait is not None and item.values:
            number = _COUNT.fullmatch(item.values[0].text)
            found[trait] = number[0] if number else "*"
    return found


def max_requests(values: ServerValues) -> str:
    """MaxKeepAliveRequests in force, as written: "*" for what is no number, empty where nobody wrote it."""
    item = values.effective("maxkeepaliverequests")
    if item is None:
        return ""
    text = item.values[0].text.strip()
    return text if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else "*"


def graceful_shutdown_timeout(tree: Tree, server: ServerValues, report: Report) -> Read:
    """Unlimited for an explicit 0, as httpd documents it."""
    option = "GracefulShutdownTimeout"
    item = server.own(option.lower())
    if item is None:
        return absent(tree, option, site=insertion(tree, option))
    where = origin(item, item.values[0])
    read = whole_seconds(option, item.values[0], where, report)
    if isinstance(read, Explicit) and not read.value:
        return Unlimited(option=option, origin=where, site=read.site)
    return read
