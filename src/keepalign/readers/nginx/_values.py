"""Arguments to settings: what nginx makes of "75", "1m30s", "0", and where another value would be written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, Span, Step, Unit
from keepalign.readers._reader import Absent, Read
from keepalign.readers.nginx._syntax import Node, Word, show
from keepalign.readers.nginx._tree import Scope
from keepalign.units import Duration

_PART: Final = re.compile(r"(\d*)(ms|[wdhms ]) *", re.ASCII)
_MS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""Months and years are for times in whole seconds only, of which keepalign reads none."""
_RANKS: Final = {unit: rank for rank, unit in enumerate(_MS)}
_LARGEST_MS: Final = 2**63 - 1
_MOST_DIGITS: Final = 20
_SIMPLE: Final = {"": "{value}", "s": "{value}s", "ms": "{value}ms"}
_LINE_REST: Final = re.compile(rb"[ \t]*+(?:#[^\n]*+|\r)?(?=\n|$)")

_NEAR: Final = {
    "keepalive_timeout": (r"keepalive_.*", r"(client|send)_.*timeout", r"server_name", r"listen"),
    "client_body_timeout": (r"(client|send)_.*timeout", r"keepalive_.*", r"server_name", r"listen"),
    "upstream keepalive_timeout": (r"keepalive.*", r"server"),
    "worker_shutdown_timeout": (r"worker_.*", r"user|pid|error_log|daemon"),
}
"""A new line goes behind the last directive of the first of these names that its block holds."""


def milliseconds(text: str) -> int | None:
    """The time that nginx reads in `text`; None when it accepts none (`ngx_parse_time`, tried on 1.22.1).

    Units go from large to small, each at most once; a number without one, behind all of them, is seconds.
    """
    total = at = 0
    last = -1
    while match := _PART.match(text, at):
        number, unit = match[1] or "0", match[2]
        rank = _RANKS["s"] if unit == " " else _RANKS[unit]
        if rank <= last or len(number) > _MOST_DIGITS:
            return None
        last = len(_RANKS) if unit == " " else rank
        total += int(number) * (1000 if unit == " " else _MS[unit])
        at = match.end()
    rest = text[at:]
    if not re.fullmatch(r"[0-9]{0,20}", rest) or not re.search(r"[0-9]", text):
        return None
    total += int(rest or "0") * 1000
    return total if total <= _LARGEST_MS else None


def origin(node: Node, lead: Step | None) -> Origin:
    """From `lead` (where the value takes effect, when that is another line) to the line that writes it."""
    own = Step(node.span, node.text)
    return Origin(OriginKind.FILE, (own,) if lead is None or lead.span == node.span else (lead, own))


def unresolved(word: Word) -> str:
    """Why the text of a word is not known; empty when it is."""
    if word.template:
        return f"{word.template} is filled in when the template is rendered"
    if "$" in word.text:
        return f"{show(word.text)} holds a variable that gets its value elsewhere"
    return ""


def _written(option: str, node: Node, lead: Step | None) -> Explicit | Unknown:
    word, where = node.words[0], origin(node, lead)
    why = unresolved(word)
    time = milliseconds(word.text) if not why else None
    if time is None:
        why = why or f"{show(word.text)!r} is no time that nginx accepts"
        return Unknown(option=option, origin=where, reason=why)
    site = None
    if word.inner is not None:
        suffix = word.text.lstrip("0123456789")
        template = _SIMPLE.get(suffix, "{value}s")
        site = Site(word.inner, template, Unit.MILLISECONDS if suffix == "ms" else Unit.SECONDS)
    return Explicit(option=option, origin=where, site=site, value=Duration.of(ms=time))


def timeout(
    option: str, scope: Scope, *, at: Scope | None = None, lead: Step | None = None, name: str = ""
) -> Read:
    """A time that holds in `scope`; where nobody wrote it, it could be written in `at`.

    Args:
        option: as shown; its last word is the directive, unless `name` says another.
        lead: where the value takes effect.
    """
    node = scope.effective(name or option.rpartition(" ")[2])
    return absent(option, scope, at) if node is None else _written(option, node, lead)


def absent(option: str, scope: Scope, at: Scope | None) -> Read:
    """Nobody wrote it; Unknown instead when an include could not be read and may hold it."""
    unread = scope.unread
    if unread is not None:
        where = Origin(OriginKind.FILE, (Step(unread.span, unread.text),))
        reason = f"it may be set in a file that was not read ({unread.text})"
        return Unknown(option=option, origin=where, reason=reason)
    return Absent(option, insertion(at or scope, option))


def keep_alive_timeout(scope: Scope, at: Scope) -> Read:
    """The first argument of `keepalive_timeout`; 0 switches keep-alive off."""
    read = timeout("keepalive_timeout", scope, at=at)
    if isinstance(read, Explicit) and not read.value:
        return Disabled(option=read.option, origin=read.origin, site=read.site)
    return read


def keepalive_requests(scope: Scope) -> str:
    """`keepalive_requests` that holds in `scope`, as written: "*" for what is no number, empty for none."""
    node = scope.effective("keepalive_requests")
    if node is None or not node.words:
        return ""
    text = node.words[0].text
    return text if re.fullmatch(r"[0-9]{1,9}", text) else "*"


_LINUX_PROBES: Final = Duration.of(s=7200)
"""tcp_keepalive_time where nobody sets it (man7.org/linux/man-pages/man7/tcp.7.html)."""


def so_keepalive(listens: Iterable[Node]) -> Read | None:
    """When TCP probes begin by the first `so_keepalive=on|off|[keepidle]:[keepintvl]:[keepcnt]`."""
    option = "so_keepalive"
    for node in listens:
        word = next((w for w in node.words[1:] if w.text.startswith(f"{option}=")), None)
        if word is None:
            continue
        where, text = origin(node, None), word.text.partition("=")[2]
        if why := unresolved(word):
            return Unknown(option=option, origin=where, reason=why)
        if text == "off":
            return Disabled(option=option, origin=where)
        idle = "" if text == "on" else text.partition(":")[0]
        time = milliseconds(idle) if idle else None
        if idle and time is None:
            return Unknown(
                option=option, origin=where, reason=f"{show(text)!r} is nothing that nginx accepts"
            )
        value = Duration.of(ms=time) if time is not None else _LINUX_PROBES
        return Explicit(option=option, origin=where, value=value)
    return None


def worker_shutdown_timeout(scope: Scope) -> Read:
    """Of the main context. 0 sets no timer (`ngx_set_shutdown_timer`)."""
    read = timeout("worker_shutdown_timeout", scope)
    if isinstance(read, Explicit) and not read.value:
        return Unlimited(option=read.option, origin=read.origin, site=read.site)
    return read


# Where a new line goes


def insertion(scope: Scope, option: str) -> Site | None:
    """Where a block can take a new line `option`; None when nowhere safe."""
    if option not in scope.sites:
        scope.sites[option] = _insertion(scope, option)
    return scope.sites[option]


def _insertion(scope: Scope, option: str) -> Site | None:
    near = _NEAR.get(option) or (rf"{option.partition('_')[0]}_.*_timeout", r"\w+_(?:pass|http_version)")
    line = f"{option.rpartition(' ')[2]} {{value}}s;"
    lines = [n for n in scope.body if n.body is None]
    for pattern in near:
        found = [n for n in lines if re.fullmatch(pattern, n.name)]
        if found:
            return _behind(found[-1], line)
    node = scope.node
    if node is not None and node.inner is not None:
        first = next((n for n in scope.body), None)
        indent = _indent(first) if first is not None else None
        return _at(node, node.inner, (_indent(node) or "") + "    " if indent is None else indent, line)
    if scope.body:
        first = scope.body[0]
        place = Span(first.span.file, first.span.start, first.span.start, first.span.line, first.span.column)
        return Site(place, f"{line}{first.newline}{_indent(first) or ''}")
    return None


def _behind(node: Node, line: str) -> Site:
    return _at(node, node.end, _indent(node), line)


def _at(node: Node, place: Span, indent: str | None, line: str) -> Site:
    """On a line of its own behind `place`, where nothing but a comment follows there; else on the same."""
    data = node.source.data
    rest = _LINE_REST.match(data, place.start)
    if rest is None or indent is None:
        return Site(place, f" {line}")
    end = rest.end()
    if data[end - 1 : end] == b"\r" and end > place.start:
        end -= 1
    comment = data[place.start : end].decode("utf-8", "replace")
    place = Span(place.file, end, end, place.line, place.column + len(comment))
    return Site(place, f"{node.newline}{indent}{line}")


def _indent(node: Node) -> str | None:
    """The blanks in front of a directive; None when something else stands on its line before it."""
    start = node.span.start
    # Indentation beyond this is no indentation.
    before = node.source.data[max(0, start - 200) : start]
    gap = before[before.rfind(b"\n") + 1 :]
    if gap.strip(b" \t") or (b"\n" not in before and start > 200):
        return None
    return gap.decode("ascii")
