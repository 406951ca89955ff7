"""Durations of a Caddyfile, and where another one would be written."""

from __future__ import annotations

from typing import Final

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Site, Step, Unit
from keepalign.readers import _conf_words, _go_durations
from keepalign.readers._conf_words import show
from keepalign.readers._reader import Absent, Read
from keepalign.readers.caddy._syntax import Node

_SIMPLE: Final = ("s", "ms")


def duration(
    option: str, node: Node | None, *, lead: Step | None = None, at: Site | None = None, zero: str = "absent"
) -> Read:
    """The time behind a directive's name.

    Args:
        node: the directive; None where nobody wrote it.
        lead: where the value takes effect, when that is another line.
        at: where the option could be written.
        zero: what 0 means: "absent": as if nobody wrote it, "unlimited", or "value": no time at all.
    """
    if node is None or len(node.words) < 2:
        return Absent(option, at)
    word = node.words[1]
    where = _conf_words.origin(Step(node.span, node.text[:160]), word, lead, "Caddy is started")
    time = None if word.unknown else _go_durations.parse(word.text, days=True)
    if time is None:
        why = word.unknown or f"{show(word.text)[:40]!r} is no time that Caddy accepts"
        if not word.unknown and "{" in word.text:
            why = f"{show(word.text)[:40]} gets its value elsewhere"
        return Unknown(option=option, origin=where, reason=why)
    site = None
    if word.inner is not None:
        suffix = word.text.lstrip("0123456789")
        unit = Unit.MILLISECONDS if suffix == "ms" else Unit.SECONDS
        site = Site(word.inner, f"{{value}}{suffix if suffix in _SIMPLE else 's'}", unit)
    if not time and zero == "absent":
        return Absent(option, site)
    if not time and zero == "unlimited":
        return Unlimited(option=option, origin=where, site=site)
    return Explicit(option=option, origin=where, site=site, value=time)


def insertion(node: Node | None, *lines: str) -> Site | None:
    """Where a block can take new lines, at its beginning; None when nowhere safe.

    Args:
        node: a directive; one without a block gets one, if there is a line above that it could hold.
        lines: each a tab deeper than what stands around it by as many tabs as it begins with.
    """
    if node is None:
        return None
    newline = node.newline
    if node.body is None or node.inner is None:
        text = "".join(f"{newline}{node.indent}\t{line}" for line in lines)
        return Site(node.end, f" {{{text}{newline}{node.indent}}}")
    data = node.source.data
    end = data.find(b"\n", node.inner.end)
    end = len(data) if end == -1 else end
    if data[end - 1 : end] == b"\r" and end > node.inner.end:
        end -= 1
    rest = data[node.inner.end : end]
    if rest.strip() and not rest.lstrip().startswith(b"#"):
        return None
    first = next((one for one in node.body if one.source is node.source), None)
    indent = first.indent if first is not None and first.indent else f"{node.indent}\t"
    place = node.source.span(end, end)
    return Site(place, "".join(f"{newline}{indent}{line}" for line in lines))
