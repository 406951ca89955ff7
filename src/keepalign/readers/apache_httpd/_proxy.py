"""mod_proxy: which backend takes a path, and how long httpd waits for it.

Tried on httpd 2.4.71, where the documentation leaves it open:

- A `ProxyPass` defines a worker for its URL unless a worker defined above it, in the same scope, has a URL
  that is the beginning of it; then it shares that worker, and its own parameters are ignored.
- `ProxySet` sets parameters of a worker that exists too, so it overrides those of a `ProxyPass`.
- A request goes to the worker with the longest URL that its own begins with; of equal ones the main server's.
- The lines of the main server are asked before those of a virtual host; a `ProxyPass` in a `<Location>`
  before all lines, and of several such sections the last one that fits.
- Of `disablereuse=` and `enablereuse=` the last one counts. The variables `proxy-nokeepalive` and
  `force-proxy-request-1.0` make httpd close each connection to a backend too, whatever their value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.setting import Disabled, Unknown
from keepalign.model.source import Origin, OriginKind, Site, Step
from keepalign.model.workload import covers
from keepalign.readers._fragments import ProxyRoute
from keepalign.readers._reader import Note, Read
from keepalign.readers.apache_httpd._syntax import show
from keepalign.readers.apache_httpd._tree import Item, Literal, Tree
from keepalign.readers.apache_httpd._values import (
    Report,
    ServerValues,
    absent,
    insertion,
    origin,
    unknown,
    whole_seconds,
)

_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/:\[\]?#]+)(?::(?P<port>\d{1,5}))?(?:[/?#].*)?",
    re.IGNORECASE | re.ASCII,
)
_PORTS: Final = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "h2c": 80, "h2": 443,
    "ajp": 8009, "fcgi": 8000, "scgi": 4000,
}  # fmt: skip
"""Ports that mod_proxy's schemes take when the URL names none."""
_REUSE: Final = ("disablereuse", "enablereuse")
_CLOSING: Final = frozenset({"proxy-nokeepalive", "force-proxy-request-1.0"})
"""Environment variables that end a backend's connection after its request (mod_proxy_http's page)."""


@dataclass(slots=True)
class _Worker:
    """One pool of connections to a backend. `options`: key to the argument that set it."""

    url: str
    defined_by: Item
    options: dict[str, tuple[Item, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Rule:
    """One ProxyPass, before timeouts are known. `url` is "!" for an exclusion."""

    item: Item
    prefix: str
    url: Literal


def _key(url: str) -> str:
    """As mod_proxy compares URLs: scheme and host in lower case."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"


def _longest(workers: Iterable[_Worker], url: str) -> _Worker | None:
    best: _Worker | None = None
    for worker in workers:
        if url.startswith(worker.url) and (best is None or len(worker.url) > len(best.url)):
            best = worker
    return best


class ProxyScope:
    """The ProxyPass lines and workers of the main server or of one virtual host.

    Args:
        items: those in force that stand in this scope, sections included, in order.
        depth: how many non-condition sections surround the scope itself: 0 or 1.
    """

    def __init__(self, items: list[Item], depth: int, report: Report) -> None:
        self.lines: list[_Rule] = []
        self.locations: list[_Rule] = []
        self.workers: list[_Worker] = []
        self.closing: dict[tuple[str, str], Item] = {}
        self._report = report
        for item in items:
            around = [s.name.lower() for s in item.blocks[depth:]]
            match item.name:
                case "proxypass" if not around:
                    self._pass(item, None)
                case "proxypass" if around[-1] == "location":
                    section = item.blocks[-1].item
                    if section.values and section.values[0].text != "~":
                        self._pass(item, section.values[0].text)
                    else:
                        self._skip(item, "its path is a pattern, which keepalign does not follow")
                case "proxypass":
                    self._skip(item, "its section selects requests in a way that keepalign does not follow")
                case "proxypassmatch":
                    self._skip(item, "its path is a pattern, which keepalign does not follow")
                case "rewriterule" if item.values and _proxies(item.values[-1].text):
                    self._skip(item, "it proxies by a pattern, which keepalign does not follow")
                case "<proxy" if item.values:
                    self._set(item, item.values[0].text, 1, overrides=False)
                case "proxyset" if around[-1:] == ["proxy"]:
                    section = item.blocks[-1].item
                    if section.values:
                        self._set(item, section.values[0].text, 0, overrides=True)
                case "proxyset" if item.values:
                    self._set(item, item.values[0].text, 1, overrides=True)
                case "setenv" | "unsetenv" if not around:
                    self._environment(item, "/")
                case "setenv" | "unsetenv" if around == ["location"]:
                    section = item.blocks[-1].item
                    if section.values and section.values[0].text != "~":
                        self._environment(item, section.values[0].text)
                case _:
                    pass

    def _skip(self, item: Item, why: str) -> None:
        self._report(Note(item.line.span, f"{item.line.text}: {why}"))

    def _environment(self, item: Item, prefix: str) -> None:
        """Remember what sets or unsets a variable that ends connections to backends; `prefix`: of the
        requests that it holds for.
        """
        names = {v.text for v in (item.values[:1] if item.name == "setenv" else item.values)}
        for name in names & _CLOSING:
            self.closing[prefix, name] = item

    def _pass(self, item: Item, location: str | None) -> None:
        words = item.values
        first = 0 if location is not None else 1
        if len(words) <= first:
            self._skip(item, "it names no backend")
            return
        prefix = location if location is not None else words[0].text
        rule = _Rule(item, prefix, words[first])
        (self.lines if location is None else self.locations).append(rule)
        if rule.url.text == "!":
            return
        self._set(item, rule.url.text, first + 1, overrides=False)

    def _set(self, item: Item, url: str, start: int, *, overrides: bool) -> None:
        """Give the worker of `url` the key=value arguments from `start` on; make it when there is none."""
        if "*" in url or "://" not in url:
            return
        url = _key(url)
        worker = _longest(self.workers, url)
        shared = worker is not None
        if worker is None:
            worker = _Worker(url, item)
            self.workers.append(worker)
        for index in range(start, len(item.values)):
            option = item.option(index)
            if option is None:
                continue
            if overrides or not shared:
                worker.options.pop(option[0], None)  # so that the last one written is the last one kept
                worker.options[option[0]] = (item, index)
            elif option[0] in ("timeout", "ttl", *_REUSE):
                text = item.line.arguments[index].raw
                by = worker.defined_by.line
                self._skip(
                    item,
                    f"httpd ignores {show(text)} here, because the worker of {by.text!r}"
                    f" (line {by.span.line}) takes this URL too",
                )


def _proxies(flags: str) -> bool:
    return flags.startswith("[") and "P" in flags.strip("[]").replace(" ", "").split(",")


def routes(
    tree: Tree, server: ProxyScope, host: ProxyScope | None, values: ServerValues, report: Report
) -> tuple[ProxyRoute, ...]:
    """The routes of one host, in the order in which httpd asks them: the first that fits takes the request.

    Args:
        host: the virtual host's own scope; None for the main server.
        values: of the host, with the main server's behind them.
    """
    scopes = [server] if host is None else [server, host]
    rules = [r for scope in reversed(scopes) for r in reversed(scope.locations)]
    rules += [r for scope in scopes for r in scope.lines]
    workers = [w for scope in scopes for w in scope.workers]
    last = {key: item for scope in scopes for key, item in scope.closing.items()}
    closing = [(prefix, item) for (prefix, _), item in last.items() if item.name == "setenv"]
    return tuple(_route(tree, rule, workers, closing, values, report) for rule in rules)


def _route(
    tree: Tree,
    rule: _Rule,
    workers: list[_Worker],
    closing: list[tuple[str, Item]],
    values: ServerValues,
    report: Report,
) -> ProxyRoute:
    item, url = rule.item, show(rule.url.text)
    here = Step(item.line.span, f"ProxyPass {show(rule.prefix)}")
    site = insertion(tree, "Timeout")
    if rule.url.text == "!":
        timeout, ttl = absent(tree, "Timeout", site=None), absent(tree, "ProxyPass ttl=", site=None)
        return ProxyRoute(show(rule.prefix), url, None, None, True, timeout, ttl, item.line.span)
    host, port = _backend(rule, report)
    if rule.url.text.lower().startswith("balancer:"):
        # Its own `timeout=` is the wait for a free member, and each member has a limit of its own.
        where = Origin(OriginKind.FILE, (here,))
        why = f"the members of {url} have limits of their own, which keepalign does not read"
        open_ends = (unknown("ProxyPass timeout=", where, why), unknown("ProxyPass ttl=", where, why))
        return ProxyRoute(show(rule.prefix), url, host, port, False, *open_ends, item.line.span)
    worker = _longest(workers, _key(rule.url.text))
    return ProxyRoute(
        prefix=show(rule.prefix),
        url=url,
        host=host,
        port=port,
        excluded=False,
        timeout=_worker_option(worker, "timeout", here, item, report)
        or _server_timeout(tree, values, here, site, report),
        ttl=_never_reused(worker, closing, rule.prefix, here)
        or _worker_option(worker, "ttl", here, item, report)
        or absent(tree, "ProxyPass ttl=", site=_option_site(worker, "ttl")),
        place=item.line.span,
    )


def _backend(rule: _Rule, report: Report) -> tuple[str | None, int | None]:
    text, line = rule.url.text, rule.item.line
    if rule.url.unresolved:
        name = show(rule.url.unresolved)
        report(Note(line.span, f"{line.text}: ${{{name}}} is not defined in these files"))
        return None, None
    match = _URL.fullmatch(text)
    if match is None or match["scheme"].lower() in ("balancer", "unix"):
        report(Note(line.span, f"{line.text}: {show(text)} names no host that keepalign can follow"))
        return None, None
    port = int(match["port"]) if match["port"] else _PORTS.get(match["scheme"].lower())
    return show(match["host"]), port


def _worker_option(worker: _Worker | None, key: str, here: Step, route: Item, report: Report) -> Read | None:
    if worker is None or key not in worker.options:
        return None
    item, index = worker.options[key]
    argument, literal = item.line.arguments[index], item.options[index]
    written = show(argument.raw)
    if item is route:
        where = origin(item, literal, what=f"{here.what} {written}", span=argument.span)
    else:
        owner = "ProxyPass " + show(item.values[0].text) if item.name == "proxypass" else show(item.line.name)
        where = origin(item, literal, here, what=f"{owner.lstrip('<')} {written}", span=argument.span)
    return whole_seconds(f"ProxyPass {key}=", literal, where, report, minimum=1, named=f"{key}=")


def _never_reused(
    worker: _Worker | None, closing: list[tuple[str, Item]], prefix: str, here: Step
) -> Disabled | Unknown | None:
    """Disabled where no connection to the backend serves a second request; None where one may."""
    for above, item in closing:
        if covers(above, prefix):
            return Disabled(option="SetEnv", origin=origin(item, item.values[0], here))
    options = worker.options if worker is not None else {}
    key = next((key for key in reversed(options) if key in _REUSE), None)
    if key is None:
        return None
    item, index = options[key]
    literal, argument = item.options[index], item.line.arguments[index]
    where = origin(item, literal, here, what=show(argument.raw), span=argument.span)
    if literal.unresolved:
        why = (
            f"whether connections are re-used depends on ${{{show(literal.unresolved)}}}, which is not known"
        )
        return unknown(f"ProxyPass {key}=", where, why)
    never = "on" if key == "disablereuse" else "off"
    return Disabled(option=f"ProxyPass {key}=", origin=where) if literal.text.lower() == never else None


def _option_site(worker: _Worker | None, key: str) -> Site | None:
    """Behind the last argument of the line that defines the worker."""
    if worker is None or worker.defined_by.line.name.startswith("<"):
        return None
    line = worker.defined_by.line
    last = line.arguments[-1]
    if not last.closed:
        return None
    return Site(line.source.span(last.span.end, last.span.end), f" {key}={{value}}")


def _server_timeout(tree: Tree, values: ServerValues, here: Step, site: Site | None, report: Report) -> Read:
    for name, item in (("ProxyTimeout", values.effective("proxytimeout")), ("Timeout", values.io_timeout)):
        if item is not None:
            where = origin(item, item.values[0], here)
            minimum = 1 if name == "ProxyTimeout" else 0
            return whole_seconds(name, item.values[0], where, report, minimum=minimum)
    return absent(tree, "Timeout", site=site)
