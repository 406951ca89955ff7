"""The three ladders in 80 columns: mark, hop, option, value, bar, origin; then who goes first, in words."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from typing import Final

from keepalign import defaults
from keepalign.model.finding import Ladder
from keepalign.model.ladder import LadderView, Mark, Rung
from keepalign.model.path import Hop, RequestPath
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unlimited, value_of, written_at
from keepalign.model.source import OriginKind, Span
from keepalign.reports._lines import BLANK, WIDTH, Line, elided, line, wrapped
from keepalign.units import Duration

MARKS: Final = {
    Mark.HOLDS: ("✓", "green"),
    Mark.VIOLATED: ("✗", "bold red"),
    Mark.UNKNOWN: ("?", "yellow"),
    Mark.FACT: ("·", "dim"),
}

_HEADINGS: Final = {
    Ladder.RESPONSE: "each hop waits longer than what is behind it takes",
    Ladder.IDLE: "who receives requests keeps the connection open longer",
    Ladder.SHUTDOWN: "requests in flight end before their target does",
}

_HOP, _OPTION, _VALUE, _BAR = 12, 20, 9, 8
_ORIGIN: Final = WIDTH - (2 + 2 + _HOP + 1 + _OPTION + 1 + _VALUE + 2 + _BAR + 1)


def draw(path: RequestPath, views: Iterable[LadderView], short: Callable[[Span], str]) -> list[Line]:
    """All ladders of one path under its name. `short` makes `file:line` of a span."""
    chain = " → ".join(["client", *(f"{hop.name} ({_product(hop)})" for hop in path.hops)])
    lines = [line((path.name, "bold")), *wrapped(chain, first="  ")]
    heading: Ladder | None = None
    for view in views:
        if view.ladder is not heading:
            lines += [
                BLANK,
                line("  ", (f"{view.ladder.value:<10}", "bold"), (_HEADINGS[view.ladder], "dim")),
            ]
            heading = view.ladder
        lines += _view(view, short)
    return lines


def _product(hop: Hop) -> str:
    label = defaults.load(hop.product).label
    if not hop.version or hop.version in label:
        return label
    name = label.removesuffix(label.rsplit(" ", 1)[-1]).rstrip() if label[-1].isdigit() else label
    return f"{name} {hop.version}"


def _view(view: LadderView, short: Callable[[Span], str]) -> list[Line]:
    lines: list[Line] = []
    longest = max(
        (v for rung in view.rungs if (v := value_of(rung.setting)) is not None), default=Duration(0)
    )
    sender = value_of(view.rungs[0].setting) if view.rungs and view.ladder is Ladder.IDLE else None
    for rung in view.rungs:
        value = value_of(rung.setting)
        mark, style = MARKS[rung.mark]
        bar = _bar(value, longest)
        if sender is not None and value is not None and rung.mark is Mark.VIOLATED:
            # The race: the receiver has closed, the sender still re-uses.
            bar = bar.ljust(len(_bar(sender, longest)), "░")
        hop = elided(rung.hop or "declared", _HOP, left=True)  # the end of an address tells more
        option = elided(rung.setting.option, _OPTION)
        lines.append(
            line(
                "  ", (mark, style), " ",
                f"{hop:<{_HOP}} {option:<{_OPTION}} ",
                (f"{value_text(rung.setting):>{_VALUE}}", style if rung.mark is Mark.VIOLATED else ""),
                f"  {bar:<{_BAR}} ",
                (elided(_origin(rung, short), _ORIGIN, left=True), "dim"),
            )
        )  # fmt: skip
    verdict = f"{view.subject}: {view.verdict}" if view.subject and view.rungs else view.verdict
    if verdict:
        bad = any(rung.mark is Mark.VIOLATED for rung in view.rungs)
        lines += wrapped(verdict, first="    ", style="red" if bad else "dim")
    return lines


def _bar(value: Duration | None, longest: Duration) -> str:
    if value is None or not value or not longest:
        return ""
    return "█" * max(1, round(_BAR * value.us / longest.us))


def value_text(setting: Setting) -> str:
    """The value with its unit, or what stands for one: off, unlimited, unknown."""
    match setting:
        case Explicit() | Default():
            return str(setting.value)
        case Disabled():
            return "off"
        case Unlimited():
            return "unlimited"
        case _:
            return "unknown"


def _origin(rung: Rung, short: Callable[[Span], str]) -> str:
    origin, written = rung.setting.origin, written_at(rung.setting)
    if origin.kind is OriginKind.FILE and origin.note:
        return origin.note
    if written is not None:
        # Hop and option stand in front of it, so that the address would say nothing new.
        return os.path.basename(written.file) if written.name else short(written)
    if origin.kind is OriginKind.COMMAND_LINE:
        return origin.note.partition(" ")[0]
    return "default" if origin.kind is OriginKind.DEFAULT else origin.note or origin.kind.value
