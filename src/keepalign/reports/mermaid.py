"""The request paths as a Mermaid flowchart: hops with the timers between them, violated ones marked.

GitHub and GitLab draw it from a code block of the language `mermaid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from keepalign import defaults
from keepalign.model.finding import Ladder
from keepalign.model.ladder import LadderView, Mark, Rung
from keepalign.model.path import Hop, RequestPath
from keepalign.reports.ladder import MARKS, value_text
from keepalign.reports.subject import Subject, summary

_SAFE: Final = frozenset(" .,:;/_-+=()→✗✓?·")


def render(subject: Subject) -> bytes:
    """One flowchart of all paths, what could not be joined first; UTF-8."""
    said = [f"{f.severity.word} {f.cause}: {f.title}" for f in subject.result.findings]
    lines = ["flowchart LR", *(f"  %% {_comment(text)}" for text in (summary(subject), *said))]
    if subject.stack.unjoined:
        lines.append('  subgraph unjoined ["read, but on no request path"]')
        for number, unjoined in enumerate(subject.stack.unjoined):
            lines.append(f'    u{number}["{_label([unjoined.what, unjoined.missing])}"]')
        lines.append("  end")
    red: list[int] = []
    link = 0
    for number, path in enumerate(subject.stack.paths):
        lines.append(f'  subgraph p{number} ["{_label([path.name])}"]')
        names = [f"p{number}h{index}" for index in range(len(path.hops))]
        lines.append(f'    p{number}client(["client"]) --> {names[0]}')
        link += 1
        for name, hop in zip(names, path.hops, strict=True):
            lines.append(f'    {name}["{_label([hop.name, defaults.load(hop.product).label])}"]')
        views = subject.result.ladders.get(path.name, ())
        for index, (one, other) in enumerate(pairwise(names)):
            rungs = _once(_rungs(path, index, views))
            text = _label([_rung(rung) for rung in rungs])
            lines.append(f'    {one} -- "{text}" --> {other}' if text else f"    {one} --> {other}")
            if any(rung.mark is Mark.VIOLATED for rung in rungs):
                red.append(link)
            link += 1
        if last := [_rung(rung) for rung in _own(path.hops[-1], views)]:
            lines.append(f'    {names[-1]} -.- p{number}own["{_label(last)}"]')
            if any(rung.mark is Mark.VIOLATED for rung in _own(path.hops[-1], views)):
                red.append(link)
            link += 1
        lines.append("  end")
    if red:
        lines.append(f"  linkStyle {','.join(map(str, red))} stroke:#d1242f,stroke-width:3px")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _rungs(path: RequestPath, index: int, views: Iterable[LadderView]) -> Iterator[Rung]:
    """What is said of the connections between hop `index` and the next: how long the one waits for an
    answer, both closers of an idle connection, and the target's end behind the first hop."""
    hop, following = path.hops[index], path.hops[index + 1]
    for view in views:
        match view.ladder:
            case Ladder.RESPONSE:
                yield from (rung for rung in view.rungs if rung.hop == hop.name)
            case Ladder.IDLE if view.subject == f"{hop.name} → {following.name}":
                yield from view.rungs
            case Ladder.SHUTDOWN if index == 0:
                yield from (rung for rung in view.rungs if rung.mark is not Mark.FACT)
            case _:
                pass


def _once(rungs: Iterable[Rung]) -> list[Rung]:
    """One setting may stand on several ladders: shown once, as violated where it is on any."""
    kept: dict[tuple[str, str], Rung] = {}
    for rung in rungs:
        key = rung.hop, rung.setting.option
        if key not in kept or rung.mark is Mark.VIOLATED:
            kept[key] = rung
    return list(kept.values())


def _own(hop: Hop, views: Iterable[LadderView]) -> list[Rung]:
    """The limits of the last hop on its own work."""
    return [
        rung
        for view in views
        if view.ladder is Ladder.RESPONSE
        for rung in view.rungs
        if rung.hop == hop.name
    ]


def _rung(rung: Rung) -> str:
    return f"{MARKS[rung.mark][0]} {rung.hop} {rung.setting.option} {value_text(rung.setting)}"


def _label(lines: Iterable[str]) -> str:
    """Lines of a quoted label; what Mermaid gives a meaning is written by number."""
    return "<br/>".join("".join(map(_char, line)) for line in lines)


def _char(char: str) -> str:
    if char.isalnum() or char in _SAFE:
        return char
    return f"#{ord(char)};" if char.isprintable() else " "


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() and char not in "{}" else " " for char in text)
