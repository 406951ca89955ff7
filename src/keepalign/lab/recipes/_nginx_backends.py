"""Whom an nginx configuration sends requests to, and where it listens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from keepalign.errors import LabError
from keepalign.readers._fragments import NginxDirective

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^]]*\]|[^:/?$]+)(?::(?P<port>\d+))?(?P<rest>[/?$].*)?", re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"(?P<host>\[[^]]*\]|[^:\[]+)(?::(?P<port>\d+))?")
_HTTP_PORTS: Final = {"http": 80, "https": 443}


def flat(directives: Iterable[NginxDirective]) -> Iterator[NginxDirective]:
    """Directives of one block, those that includes bring in among them."""
    for directive in directives:
        if directive.name == "include":
            yield from flat(directive.block or ())
        else:
            yield directive


def everything(directives: Iterable[NginxDirective]) -> Iterator[NginxDirective]:
    """Directives of all blocks, outer ones first."""
    for directive in directives:
        yield directive
        yield from everything(directive.block or ())


def upstreams(directives: Iterable[NginxDirective]) -> dict[str, NginxDirective]:
    """The upstream blocks, by name."""
    return {one.args[0]: one for one in everything(directives) if one.name == "upstream" and one.args}


def backends(directives: Sequence[NginxDirective]) -> Iterator[int]:
    """The ports of every backend, whatever its host."""
    blocks = upstreams(directives)
    for block in blocks.values():
        for peer in flat(block.block or ()):
            if peer.name == "server" and peer.args:
                yield port_of_peer(peer)
    for directive in everything(directives):
        if directive.name == "proxy_pass" and directive.args:
            port = port_of_proxy_pass(directive, frozenset(blocks))
            if port is not None:
                yield port


def port_of_proxy_pass(directive: NginxDirective, upstreams: frozenset[str]) -> int | None:
    """The port that a proxy_pass sends requests to; None where an upstream block says.

    Raises: LabError: a backend that does not speak HTTP over TCP, or that a variable names.
    """
    text = directive.args[0]
    url = _URL.fullmatch(text)
    if url is None or url["host"].lower() == "unix":
        raise LabError(
            f"{directive.span.place}: the lab cannot tell where proxy_pass {text} leads",
            hint="it runs backends that speak HTTP over TCP, at an address without variables",
        )
    if url["port"] is None and url["host"] in upstreams:
        return None
    return int(url["port"]) if url["port"] else _HTTP_PORTS[url["scheme"].lower()]


def port_of_peer(directive: NginxDirective) -> int:
    """The port of a server of an upstream block. Raises: LabError: it listens on a Unix socket."""
    text = directive.args[0]
    address = _ADDRESS.fullmatch(text)
    if text.startswith("unix:") or address is None:
        raise LabError(
            f"{directive.span.place}: the lab cannot run a backend that is reached by {text}",
            hint="it runs backends that speak HTTP over TCP",
        )
    return int(address["port"] or 80)


def port_of_listen(text: str) -> int | None:
    """The port of a listen address that is no Unix socket; None when it is not one number."""
    if text.isdecimal():
        return int(text)
    address = _ADDRESS.fullmatch(text)
    known = address is not None and "$" not in text and re.search(r"\d-\d+$", text) is None
    return int(address["port"] or 80) if known and address is not None else None
