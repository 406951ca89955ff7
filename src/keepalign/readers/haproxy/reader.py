"""HAProxyReader: one HAProxy configuration as frontends, and the ways of requests through them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from keepalign.model.path import Product
from keepalign.model.setting import Disabled
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._conf_words import ConfWord, show
from keepalign.readers._fragments import ProxyFragment, ProxyListener, ProxyWay
from keepalign.readers._reader import Absent, Read
from keepalign.readers.haproxy._routing import Match, matches, named_tests
from keepalign.readers.haproxy._sections import Configuration, Section, build, key_of
from keepalign.readers.haproxy._syntax import Line
from keepalign.readers.haproxy._values import keep_alive, milliseconds, timeout, tunnel, written

_NAME: Final = re.compile(r"haproxy[\w.-]*\.(?:cfg|conf)(?:\.\w+)?")
_AFTER_TIMEOUT: Final = frozenset({"response-timeout", "all-retryable-errors"})
"""Words of `retry-on` for which a request is sent again after `timeout server`."""
_UNSENT: Final = frozenset({"none", "conn-failure", "0rtt-rejected"})
"""Those for which it is sent again only where the server has not had it."""
_SUFFIXES: Final = (
    ".cfg", ".conf", ".cfg.j2", ".cfg.erb", ".cfg.tpl", ".cfg.tmpl", ".cfg.ctmpl", ".cfg.template",
)  # fmt: skip
_SECTION: Final = re.compile(
    rb"^[ \t]*(?:(?:frontend|backend|listen)[ \t]+[\w.:{$\"%-]+"
    rb"|defaults(?:[ \t]+[\w.-]+)*[ \t]*(?:#.*)?\r?$)",
    re.MULTILINE,
)
_OWN_LINE: Final = re.compile(
    rb"^[ \t]*(?:timeout[ \t]+(?:client|server|connect|http-request)|mode[ \t]+(?:http|tcp)"
    rb"|bind[ \t]+\S*:\d|default_backend|use_backend|server[ \t]+\S+[ \t]+\S+:\d"
    rb"|option[ \t]+(?:http|dontlog))",
    re.MULTILINE,
)
_BIND: Final = re.compile(
    r"(?:(?:ipv4@|ipv6@|quic4@|quic6@|tcp@|tcp4@|tcp6@)?(?:.*:)?)(\d{1,5})(?:-(\d{1,5}))?", re.ASCII
)
_ADDRESS: Final = re.compile(
    r"(?:ipv4@|ipv6@|tcp4?@|tcp6@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:/@\s${}%]+)(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
_Addresses: TypeAlias = tuple[tuple[str | None, int | None], ...]

_WIDEST_RANGE: Final = 100
_TRIES: Final = 3
"""`retries` where nobody sets it."""


class HAProxyReader:
    """Reads HAProxy configuration."""

    name = "haproxy"

    def recognise(self, path: str, head: bytes) -> bool:
        """haproxy.cfg and the like, or a *.cfg, *.conf or template of one with HAProxy's lines in it."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        known = bool(_SECTION.search(head)) and bool(_OWN_LINE.search(head))
        if _NAME.fullmatch(base):
            return known or base == "haproxy.cfg" or bool(re.search(rb"^[ \t]*global\b", head, re.MULTILINE))
        return known and base.endswith(_SUFFIXES)

    def is_main(self, source: SourceText) -> bool:
        """Whether a file has a `global` section: others beside it are read together with it."""
        return bool(re.search(rb"^[ \t]*global[ \t]*\r?$", source.data, re.MULTILINE))

    def read(self, source: SourceText) -> ProxyFragment:
        """One file on its own. Raises: ReadError: as `read_files`."""
        return self.read_files((source,))

    def read_files(self, sources: Sequence[SourceText]) -> ProxyFragment:
        """Files that HAProxy reads one behind the other, as with several `-f`. Named after the first.

        Raises: ReadError: with line and column: a word outside of every section, a quote that is not closed,
            a byte order mark.
        """
        return _Reading(build(sources)).fragment(sources[0].file)


class _Reading:
    def __init__(self, conf: Configuration) -> None:
        self._conf = conf
        self._backends: dict[str, Section] = {}
        self._known: dict[str, tuple[_Addresses, str]] = {}
        self._purging: dict[str, tuple[bool, tuple[Line, ConfWord] | None]] = {}
        for section in conf.of("backend", "listen"):
            self._backends.setdefault(section.name, section)

    def fragment(self, file: str) -> ProxyFragment:
        listeners = [
            one for s in self._conf.of("frontend", "listen") if (one := self._listener(s)) is not None
        ]
        return ProxyFragment(
            file,
            product=Product.HAPROXY,
            listeners=tuple(listeners),
            settings=self._process(),
            notes=tuple(self._conf.notes),
        )

    def _process(self) -> Mapping[Role, Read]:
        found: dict[Role, Read] = {
            Role.SHUTDOWN_GRACE: Absent("hard-stop-after"), Role.SHUTDOWN_DELAY: Absent("grace"),
        }  # fmt: skip
        for section in self._conf.of("global"):
            for role, read in found.items():
                here = timeout((read.option,), section)
                if not isinstance(here, Absent) or isinstance(read, Absent):
                    found[role] = here
        return found

    # Frontends

    def _listener(self, front: Section) -> ProxyListener | None:
        if front.mode != "http":
            why = "" if front.effective("mode") is not None else ", as HAProxy does where no mode is written"
            self._conf.note(
                front.head.span, f"{front.head.text}: passes TCP on{why}; keepalign follows HTTP only"
            )
            return None
        idle = keep_alive(front)
        settings: dict[Role, Read] = {
            Role.SERVER_IDLE: idle,
            Role.SERVER_HEADER_READ: timeout(("timeout http-request", "timeout client"), front),
            Role.SERVER_BODY_READ: timeout(("timeout client",), front),
        }
        for line in front.all("http-request"):
            if line.at(1) == "set-timeout":
                self._conf.note(
                    line.span, f"{line.text}: not followed; some requests have this limit instead"
                )
        return ProxyListener(
            name=show(front.name),
            ports=self._ports(front),
            settings=settings,
            ways=tuple(self._ways(front, idle)),
            place=front.head.span,
            traits={
                "closes_idle_on_stop": "no" if front.effective("option idle-close-on-response") else "yes"
            },
        )

    def _ports(self, front: Section) -> tuple[int, ...]:
        ports: dict[int, None] = {}
        # The address of old: `listen web 0.0.0.0:80`.
        words = [*front.head.words[2:3]] if front.head.at(2) != "from" else []
        words += [line.words[1] for line in front.all("bind") if len(line.words) > 1]
        for word in words:
            if word.unknown:
                self._conf.note(word.span, f"bind {show(word.text)[:80]}: {word.unknown}")
                continue
            for address in word.text.split(","):
                match = _BIND.fullmatch(address)
                if match:
                    first, last = int(match[1]), int(match[2] or match[1])
                    ports.update(dict.fromkeys(range(first, min(last, first + _WIDEST_RANGE) + 1)))
        return tuple(ports)

    def _ways(self, front: Section, idle: Read) -> list[ProxyWay]:
        found: list[ProxyWay] = []
        named = named_tests(front)
        for line in front.all("use_backend"):
            if len(line.words) < 2:
                continue
            every = matches(line.words[2:], named)
            if not all(match.prefixes for match in every):
                self._conf.note(line.span, f"{line.text[:160]}: which requests take it is not followed")
            found += [self._way(front, line, line.words[1], match, idle) for match in every]
        everything = Match(("/",), ())
        default = front.effective("default_backend")
        if default is not None and len(default.words) > 1:
            found.append(self._way(front, default, default.words[1], everything, idle))
        elif front.kind == "listen" and front.servers:
            found.append(self._made(front, front, front.servers[0], front.name, everything, idle))
        return found

    def _way(self, front: Section, line: Line, name: ConfWord, match: Match, idle: Read) -> ProxyWay:
        back = self._backends.get(name.text)
        if back is not None:
            return self._made(front, back, line, name.text, match, idle)
        shown = show(name.text)
        if name.unknown or "%[" in name.text:
            why = name.unknown or "the backend is chosen as requests come"
        else:
            why = f"there is no backend {shown} in this configuration"
        self._conf.note(line.span, f"{line.text[:160]}: {why}")
        return ProxyWay(shown, match.prefixes, match.hosts, (), shown, why, {}, {}, line.span)

    # Backends

    def _made(
        self, front: Section, back: Section, line: Line, name: str, match: Match, idle: Read
    ) -> ProxyWay:
        lead = Step(line.span, line.text[:160])
        settings: dict[Role, Read] = {
            Role.UPSTREAM_CONNECT: timeout(("timeout connect",), back, lead=lead),
            Role.UPSTREAM_READ: timeout(("timeout server",), back, lead=lead),
            Role.STREAM_IDLE: tunnel(front, back, lead),
        }
        traits = _retries(back)
        again = back.effective("retry-on")
        if again is not None and not {word.text for word in again.words} & _AFTER_TIMEOUT:
            origin = Origin(OriginKind.FILE, (Step(again.span, again.text),))
            settings[Role.UPSTREAM_RETRY] = Disabled(option="retry-on", origin=origin)
        kept = self._pool(front, back, idle, lead)
        traits["pool"] = "off" if kept is None else "on"
        if kept is not None:
            settings[Role.UPSTREAM_POOL_IDLE] = kept
        if back.name not in self._known:
            self._known[back.name] = _addresses(back)
        backends, why = self._known[back.name]
        if why:
            self._conf.note(back.head.span, f"{back.head.text}: {why}")
        shown = show(name)
        return ProxyWay(
            shown, match.prefixes, match.hosts, backends, f"backend {shown}", why, settings, traits, line.span
        )

    def _pool(self, front: Section, back: Section, idle: Read, lead: Step) -> Read | None:
        """How long idle connections to the servers are kept; None where none is."""
        for section in (front, back):
            mode = section.connection_mode
            if mode is not None and key_of(mode) != "option http-keep-alive":
                return None
        option = "pool-purge-delay"
        reuse = back.effective("http-reuse")
        if reuse is not None and reuse.at(1) == "never":
            # Measured with 2.6.12: it then stays beside its client's connection as long as that is open.
            if isinstance(idle, Absent):
                return idle
            steps = (lead, Step(reuse.span, reuse.text), *idle.origin.steps)
            note = "each server connection is kept as long as its client's"
            return replace(idle, origin=replace(idle.origin, steps=steps, note=note))
        if back.name not in self._purging:
            self._purging[back.name] = _purging(back)
        kept, delay = self._purging[back.name]
        if not kept:
            return None
        if delay is None:
            return Absent(option, _pool_site(back))
        return written(option, *delay, lead)


def _addresses(back: Section) -> tuple[_Addresses, str]:
    """Of its servers, backups last, those that are disabled left out; and why there is none."""
    used: list[tuple[str | None, int | None]] = []
    backups: list[tuple[str | None, int | None]] = []
    for line in back.servers:
        options = [word.text for word in line.words[3:]]
        if "disabled" not in options:
            address = line.words[3 if line.name == "server-template" else 2]
            (backups if "backup" in options else used).append(_address(address))
    if not used and not backups:
        return (), "it has no server that takes requests"
    return (*used, *backups), ""


def _purging(back: Section) -> tuple[bool, tuple[Line, ConfWord] | None]:
    """Whether a backend keeps idle connections, and the longest `pool-purge-delay` of its servers."""
    usual = _parameters(back)
    longest: tuple[Line, ConfWord] | None = None
    kept = not back.servers
    for line in back.servers:
        delay = _parameter([line], "pool-purge-delay") or _parameter(usual, "pool-purge-delay")
        most = _parameter([line], "pool-max-conn") or _parameter(usual, "pool-max-conn")
        time = milliseconds(delay[1].text) if delay is not None else None
        if time == 0 or (most is not None and most[1].text == "0"):
            continue
        kept = True
        if delay is not None and (longest is None or (time or 0) > (milliseconds(longest[1].text) or 0)):
            longest = delay
    return kept, longest


def _parameter(lines: Sequence[Line], name: str) -> tuple[Line, ConfWord] | None:
    """The value of a server's parameter, and the last line that has it."""
    for line in reversed(lines):
        at = next((n for n, word in enumerate(line.words[1:-1], 1) if word.text == name), None)
        if at is not None:
            return line, line.words[at + 1]
    return None


def _pool_site(back: Section) -> Site | None:
    """In front of the first server: `default-server` holds for those behind it."""
    servers = back.servers
    if not servers:
        return None
    first = servers[0]
    place = Span(first.span.file, first.span.start, first.span.start, first.span.line, first.span.column)
    return Site(place, f"default-server pool-purge-delay {{value}}s{first.newline}{first.indent}")


def _parameters(section: Section | None) -> list[Line]:
    """The `default-server` lines that hold in a section, the strongest last."""
    found: list[Line] = []
    while section is not None:
        found = [*section.all("default-server"), *found]
        section = section.parent
    return found


def _address(word: ConfWord) -> tuple[str | None, int | None]:
    """Host and port of "10.0.0.1:8000", "app:8000", "[::1]:8000"; None for what names none."""
    if word.unknown:
        return None, None
    match = _ADDRESS.fullmatch(word.text)
    return (show(match["host"]), int(match["port"]) if match["port"] else None) if match else (None, None)


def _retries(back: Section) -> dict[str, str]:
    """What HAProxy sends again. Without `retry-on` only connecting is tried again, not a request.

    `retries` limits both; `http-request disable-l7-retry` takes requests out.
    """
    again = back.effective("retry-on")
    words = {word.text for word in again.words[1:]} if again is not None else set()
    count = back.effective("retries")
    text = count.at(1) if count is not None else str(_TRIES)
    if not words - {"none", "conn-failure"} or text == "0":
        return {"retries": "off", "attempts": "1"}
    traits: dict[str, str] = {}
    if re.fullmatch(r"[0-9]{1,6}", text):
        traits["attempts"] = str(int(text) + 1)
    stale = bool(words & {"empty-response", "all-retryable-errors"})
    some = any(line.at(1) == "disable-l7-retry" for line in back.all("http-request"))
    after = "idempotent" if some else "all"
    traits["retries"] = after if stale else "off"
    if not stale and words - _UNSENT:
        traits["resends"] = after
    return traits
