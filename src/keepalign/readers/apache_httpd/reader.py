"""ApacheReader: one httpd.conf, as what holds on each of its addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from keepalign.model.source import SourceText
from keepalign.readers._fragments import ApacheFragment, ApacheHost
from keepalign.readers._reader import Note, Read
from keepalign.readers.apache_httpd._proxy import ProxyScope, routes
from keepalign.readers.apache_httpd._syntax import show
from keepalign.readers.apache_httpd._tree import Include, Item, Tree, build
from keepalign.readers.apache_httpd._values import (
    Report,
    ServerValues,
    absent,
    capacity,
    disabled,
    graceful_shutdown_timeout,
    insertion,
    keep_alive_timeout,
    max_requests,
    origin,
    whole_seconds,
)

_NAMES: Final = ("httpd.conf", "apache2.conf")
_APACHE: Final = re.compile(
    rb"^[ \t]*(?:(?:LoadModule|ServerRoot|ServerName|Listen|ProxyPass(?:Reverse)?|KeepAliveTimeout)[ \t]+\S"
    rb"|<(?:VirtualHost|Location|IfModule|Directory|Proxy)[ \t])",
    re.MULTILINE | re.IGNORECASE,
)
_NGINX: Final = re.compile(rb"^[ \t]*[a-z_]+\b[^#\n\"']*[;{][ \t\r]*$", re.MULTILINE)


class ApacheReader:
    """Reads Apache httpd 2.4 configuration."""

    name = "apache_httpd"

    def recognise(self, path: str, head: bytes) -> bool:
        """httpd.conf, apache2.conf, or a *.conf that has httpd directives and no nginx syntax."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        if base in _NAMES:
            return True
        return base.endswith(".conf") and bool(_APACHE.search(head)) and not _NGINX.search(head)

    def read(self, source: SourceText) -> ApacheFragment:
        """One file on its own: an Include in it leaves what it may set unknown.

        Raises: ReadError: a section that is not closed, or closed but not open.
        """
        return _fragment(source.file, build(source, None))

    def read_tree(self, source: SourceText, include: Include) -> ApacheFragment:
        """A main file with its includes.

        Args:
            include: answers the pattern of an Include or IncludeOptional, as written after substitution (it
                may be relative to ServerRoot and hold `*`), with the files it names, in httpd's order.

        Raises: ReadError: also for a file that includes itself.
        """
        return _fragment(source.file, build(source, include))


def _fragment(file: str, tree: Tree) -> ApacheFragment:
    notes = _Notes(tree.notes)
    holding = list(tree.holding())
    server_items = [i for i in holding if not _host_of(i)]
    server = ServerValues([i for i in server_items if not i.blocks])
    server_proxy = ProxyScope(server_items, 0, notes.add)
    listens = _listens(server_items)

    openers = [i for i in holding if i.name == "<virtualhost" and not i.blocks]
    scopes = {
        id(o): ServerValues([i for i in holding if _host_of(i) is o and len(i.blocks) == 1], server)
        for o in openers
    }
    hosts: list[ApacheHost] = []
    first_on: dict[str, ServerValues] = {}
    for opener in openers:
        values = scopes[id(opener)]
        addresses = [show(v.text).lower() for v in opener.values]
        for address in addresses:
            first_on.setdefault(address, values)
        proxy = ProxyScope([i for i in holding if _host_of(i) is opener], 1, notes.add)
        # The first virtual host of an address decides where a further one is silent.
        leader = first_on[addresses[0]] if addresses else values
        hosts.append(
            ApacheHost(
                ports=_ports(addresses, listens),
                server_name=_server_name(values),
                place=opener.line.span,
                keep_alive_timeout=_keep_alive(tree, values, leader),
                timeout=_timeout(tree, values, notes.add),
                routes=routes(tree, server_proxy, proxy, values, notes.add),
                max_requests=max_requests(values),
            )
        )
    taken = {port for host in hosts for port in host.ports}
    left = tuple(port for port in listens if port not in taken)
    if not hosts or left:
        place = next((i.line.span for i in server_items if i.name == "listen"), None)
        first = tree.items[0].line.span if tree.items else SourceText(file, b"").span(0, 0)
        hosts.append(
            ApacheHost(
                ports=left,
                server_name=_server_name(server),
                place=place or first,
                keep_alive_timeout=_keep_alive(tree, server, server),
                timeout=_timeout(tree, server, notes.add),
                routes=routes(tree, server_proxy, None, server, notes.add),
                max_requests=max_requests(server),
            )
        )
    return ApacheFragment(
        file=file,
        listens=listens,
        hosts=tuple(hosts),
        mpm=_mpm(server_items),
        capacity=capacity(tree, [i for i in server_items if not i.blocks]),
        graceful_shutdown_timeout=graceful_shutdown_timeout(tree, server, notes.add),
        directives=tuple(i.directive for i in tree.items),
        notes=tuple(notes.all),
    )


class _Notes:
    """Collects notes; the same one, met for several hosts, is kept once."""

    def __init__(self, start: Iterable[Note]) -> None:
        self.all = list(start)

    def add(self, note: Note) -> None:
        if note not in self.all:
            self.all.append(note)


def _host_of(item: Item) -> Item | None:
    blocks = item.blocks
    return blocks[0].item if blocks and blocks[0].name.lower() == "virtualhost" else None


def _port(address: str) -> int | None:
    """The port of `8080`, `10.0.0.1:8080`, `[::]:8080`, `*:8080`; None without one."""
    text = address.rpartition(":")[2] if ":" in address and not address.endswith("]") else address
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else None


def _listens(items: list[Item]) -> tuple[int, ...]:
    ports = (_port(i.values[0].text) for i in items if i.name == "listen" and i.values and not i.blocks)
    return tuple(dict.fromkeys(p for p in ports if p is not None))


def _ports(addresses: list[str], listens: tuple[int, ...]) -> tuple[int, ...]:
    """Of a VirtualHost's addresses; one without a port, or with `*`, stands for every Listen."""
    found: dict[int, None] = {}
    for address in addresses:
        has_port = ":" in address.rpartition("]")[2]
        port = _port(address) if has_port else None
        found.update(dict.fromkeys(listens if port is None else (port,)))
    return tuple(found)


def _server_name(values: ServerValues) -> str | None:
    item = values.own("servername")
    return show(item.values[0].text) if item else None


def _mpm(items: list[Item]) -> str:
    names = [i.values[0].text for i in items if i.name == "loadmodule" and i.values]
    found = [m[1] for n in names if (m := re.fullmatch(r"mpm_([a-z]+)_module", n))]
    return found[-1] if found else ""


def _keep_alive(tree: Tree, values: ServerValues, leader: ServerValues) -> Read:
    option = "KeepAliveTimeout"
    off = values.keep_alive_off
    if off is not None:
        return disabled(option, off)
    name = option.lower()
    item = values.own(name) or leader.own(name) or values.effective(name)
    if item is None:
        return absent(tree, option, site=insertion(tree, option))
    scopes = (values, leader, *([values.parent] if values.parent is not None else []))
    lost = next((scope.losers(item) for scope in scopes if scope.own(name) is item), ())
    return keep_alive_timeout(item.values[0], replace(origin(item, item.values[0]), losers=lost))


def _timeout(tree: Tree, values: ServerValues, report: Report) -> Read:
    item = values.io_timeout
    if item is None:
        return absent(tree, "Timeout", site=insertion(tree, "Timeout"))
    scope = values if values.own("timeout") is item or values.parent is None else values.parent
    lost = scope.losers(item)
    where = replace(origin(item, item.values[0]), losers=lost)
    return whole_seconds("Timeout", item.values[0], where, report)
