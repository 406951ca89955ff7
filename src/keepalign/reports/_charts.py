"""Charts of a diagnosis as inline SVG, without scripts: a title says of each shape what it is."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Final

from keepalign.model.diagnosis import Diagnosis
from keepalign.reports.diagnosis import harmless, minute_of, percent
from keepalign.reports.diagnosis import over_time as stretches

COLOURS: Final = 8
"""Causes with a colour of their own, the last for all others."""
TARGETS: Final = 40
"""Targets that are drawn."""
_BARS: Final = 120
_WIDTH: Final = 1000
_HEIGHT: Final = 180
_LEFT: Final = 70
_LABEL: Final = 190
"""Width of a target's name."""
_ROW: Final = 18
_TICKS: Final = 5
_DAY: Final = 1440
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its numbers.

    Args:
        rows: per stretch of time its label, and a number per cause.
        requests: at most, in one stretch. length: of a stretch, in minutes.
    """

    svg: str
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    requests: int
    length: int


def colour(number: int) -> int:
    """Of the cause at this place, from 0."""
    return min(number, COLOURS - 1)


def over_time(diagnosis: Diagnosis) -> Chart | None:
    """Errors over time, stacked by cause, with deployments; None without any, or for a moment only."""
    span = diagnosis.span
    if span is None or not diagnosis.groups or span[1] - span[0] < 2:
        return None
    first, last = span
    causes = [group.minutes for group in diagnosis.groups]
    (traffic, *parts), length = stretches([diagnosis.requests, *causes], first, last, _BARS)
    many = [parts[n] for n in range(min(len(parts), COLOURS - 1))]
    if rest := parts[COLOURS - 1 :]:
        many.append([sum(column) for column in zip(*rest, strict=True)])
    columns = list(zip(*many, strict=True))
    most = max(map(sum, columns))
    if not most:
        return None
    step = (_WIDTH - _LEFT) / len(columns)
    shapes: list[str] = []
    rows: list[tuple[str, tuple[int, ...]]] = []
    for n, column in enumerate(columns):
        label = minute_of(first + n * length)
        rows.append((label, column))
        bottom = float(_HEIGHT)
        for cause, number in enumerate(column):
            height = number / most * (_HEIGHT - 10)
            bottom -= height
            if number:
                name = diagnosis.groups[cause].cause if cause < COLOURS - 1 else "other causes"
                shapes.append(
                    f'<rect class="c{cause}" x="{_LEFT + n * step:.1f}" y="{bottom:.1f}"'
                    f' width="{max(step - 1, 1):.1f}" height="{height:.1f}">'
                    f"<title>{_text(f'{label} UTC: {number:,} {name}')}</title></rect>"
                )
    shapes += [_deployed(minute, source, first, length, step) for minute, source in _deployments(diagnosis)]
    shapes.append(_line(traffic, step))
    shapes += _axis(first, last, length, step, most)
    label = (
        f"Errors over time by cause, at most {most:,} in {length} min; the line is requests, at most"
        f" {max(traffic):,}"
    )
    return Chart(_svg(_WIDTH, _HEIGHT + 24, label, shapes, kind="time"), tuple(rows), max(traffic), length)


def _deployments(diagnosis: Diagnosis) -> list[tuple[int, str]]:
    assert diagnosis.span is not None
    first, last = diagnosis.span
    found = [(one.at.us // _MINUTE_US, one.source) for one in diagnosis.deployments]
    return [(minute, source) for minute, source in found if first <= minute <= last]


def _deployed(minute: int, source: str, first: int, length: int, step: float) -> str:
    x = _LEFT + (minute - first) / length * step
    title = _text(f"{minute_of(minute)} UTC: deployment, {source}")
    return (
        f'<line class="deploy" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT}"><title>{title}</title></line>'
    )


def _line(numbers: list[int], step: float) -> str:
    """Requests over the whole height, whatever their number."""
    most = max(1, *numbers)
    points = " ".join(
        f"{_LEFT + (n + 0.5) * step:.1f},{_HEIGHT - number / most * (_HEIGHT - 10):.1f}"
        for n, number in enumerate(numbers)
    )
    return f'<polyline class="traffic" points="{points}"/>'


def _axis(first: int, last: int, length: int, step: float, most: int) -> list[str]:
    shapes = [
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>',
        f'<text x="{_LEFT - 6}" y="18" text-anchor="end">{most:,}</text>',
        f'<text x="{_LEFT - 6}" y="{_HEIGHT}" text-anchor="end">0</text>',
    ]
    for n in range(_TICKS):
        minute = first + (last - first) * n // (_TICKS - 1)
        x = _LEFT + (minute - first) / length * step
        anchor = "start" if n == 0 else "end" if n == _TICKS - 1 else "middle"
        label = minute_of(minute)[5 if last - first >= _DAY else 11 :]
        shapes.append(f'<text x="{x:.1f}" y="{_HEIGHT + 18}" text-anchor="{anchor}">{label}</text>')
    return shapes


def lives(diagnosis: Diagnosis) -> str | None:
    """Targets from their first line to their last, in the order they came; None without any."""
    span = diagnosis.span
    shown = sorted(diagnosis.lives[:TARGETS], key=lambda life: (life.first, life.target))
    if span is None or not shown:
        return None
    first, last = span
    scale = (_WIDTH - _LABEL) / (last - first + 1)
    shapes: list[str] = []
    for n, life in enumerate(shown):
        y = n * _ROW
        x = _LABEL + (life.first - first) * scale
        width = max((life.last - life.first + 1) * scale, 2)
        share = life.errors / life.requests if life.requests else 0.0
        place = f'x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" rx="2"'
        title = _text(
            f"{life.target}: {minute_of(life.first)} to {minute_of(life.last)} UTC,"
            f" {life.requests:,} requests, {life.errors:,} errors ({percent(life.errors, life.requests)})"
        )
        # By the square root: one in a hundred shows already.
        opacity = share**0.5
        shapes.append(
            f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{_text(life.target[:28])}</text>'
        )
        shapes.append(f'<rect class="life" {place}/>')
        shapes.append(
            f'<rect class="failed" fill-opacity="{opacity:.2f}" {place}><title>{title}</title></rect>'
        )
    return _svg(
        _WIDTH, len(shown) * _ROW + 2, "Targets from their first line to their last", shapes, kind="lives"
    )


def bar(number: int, total: int, cause: int) -> str:
    """A share as a bar in a line of text, beside which the number stands."""
    width = 100 * number / total if total else 0
    return (
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="life" width="100" height="10"/><rect class="c{colour(cause)}" width="{width:.1f}"'
        ' height="10"/></svg>'
    )


def _svg(width: int, height: int, label: str, shapes: list[str], *, kind: str) -> str:
    inner = "\n".join(shapes)
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{_text(label)}">\n'
        f"{inner}\n</svg>"
    )


def _text(text: str) -> str:
    return html.escape(harmless(text), quote=True)
