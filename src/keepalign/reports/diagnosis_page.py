"""The report of `diagnose` as one HTML file: charts and all, for a browser without a network.

It holds no script and loads nothing: its Content-Security-Policy allows its own style sheet only. Every text
goes through _text(); what is drawn has a table beside it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Sequence

import keepalign
from keepalign.model.diagnosis import CauseGroup, Counted, Diagnosis
from keepalign.model.finding import Confidence
from keepalign.reports import _charts
from keepalign.reports._page_style import STYLE
from keepalign.reports._summary import counted
from keepalign.reports.diagnosis import (
    confidences,
    count,
    file_told,
    group_name,
    harmless,
    interrupted,
    minute_of,
    percent,
    period,
    place,
    statuses,
    told,
    when,
)

_WORDS = 10
"""Targets, paths and target groups of a cause that are named."""
_ROWS = 20
"""Lines of the log that are shown of a cause."""
_FILES = 200
_CODE = re.compile(r"`([^`]+)`")
_REJECTED = 50


def render(diagnosis: Diagnosis) -> bytes:
    """The page in UTF-8."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>keepalign: {_text(_title(diagnosis))}</title>\n<style>{STYLE}</style>\n</head>\n"
    )
    body = "\n".join(part for part in _body(diagnosis) if part)
    return f"{head}<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n".encode("utf-8", "replace")


def _text(text: str) -> str:
    """Foreign text as text."""
    return html.escape(harmless(text), quote=True)


def _coded(text: str) -> str:
    """Foreign text as text, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", _text(text))


def _title(diagnosis: Diagnosis) -> str:
    if not diagnosis.groups:
        return diagnosis.verdict
    return f"{counted(diagnosis.errors, 'error')}, mostly {diagnosis.groups[0].cause}"


def _body(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.partial is not None:
        yield f'<p class="partial" role="status">{_text(interrupted(diagnosis.partial))}</p>'
    yield f"<h1>{_text(diagnosis.verdict)}</h1>"
    yield _summary(diagnosis)
    yield _over_time(diagnosis)
    yield _causes(diagnosis.groups)
    for number, group in enumerate(diagnosis.groups):
        yield _cause(group, number, diagnosis)
    yield _targets(diagnosis)
    yield _section("Noted", _list(map(_text, diagnosis.notes)))
    yield _rejected(diagnosis)
    yield _files(diagnosis)
    yield f'<footer><p class="count">{_text(count(diagnosis.accounting))}</p>'
    yield f"<p>keepalign {_text(keepalign.__version__)}</p></footer>"


def _summary(diagnosis: Diagnosis) -> str:
    span = diagnosis.span
    if span is None:
        return ""
    requests = diagnosis.requests.total
    text = f"{requests:,} requests from {minute_of(span[0])} to {minute_of(span[1])} UTC"
    if diagnosis.complete and requests:
        text += f", {percent(diagnosis.errors, requests)} of them errors"
    files = sum(not one.skipped and not one.beside for one in diagnosis.files)
    if files > 1:
        text += f", in {files:,} files"
    return f'<p class="summary">{_text(text)}</p>'


def _key(number: int) -> str:
    return f'<span class="key c{number}"></span>'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{content}\n</section>" if content else ""


def _list(items: Iterable[str], kind: str = "ul") -> str:
    shown = "\n".join(f"<li>{item}</li>" for item in items)
    return f"<{kind}>\n{shown}\n</{kind}>" if shown else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f'<th scope="col">{_text(one)}</th>' for one in head)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def _unbroken(content: str) -> str:
    """HTML that stays on one line."""
    return f'<span class="one">{content}</span>'


def _folded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{_text(summary)}</summary>\n{content}\n</details>"


def _over_time(diagnosis: Diagnosis) -> str:
    chart = _charts.over_time(diagnosis)
    if chart is None:
        return ""
    rows = (
        (_unbroken(_text(label)), *(f"{number:,}" for number in numbers))
        for label, numbers in chart.rows
        if any(numbers)
    )
    names = [group.cause for group in diagnosis.groups[: _charts.COLOURS - 1]]
    head = ["from (UTC)", *names, *(["other causes"] if len(diagnosis.groups) >= _charts.COLOURS else [])]
    legend = _list(f"{_key(number)} {_text(name)}" for number, name in enumerate(head[1:]))
    line = f"The line: requests, at most {chart.requests:,} in {chart.length} min."
    marked = [
        f"{when(one.at, digits=0)[:16]} UTC: {counted(one.removed, 'target')} taken out ({one.source})"
        for one in diagnosis.deployments
    ]
    deployments = f"<p>Deployments, dashed:</p>{_list(map(_text, marked))}" if marked else ""
    figure = f"<figure>\n{chart.svg}\n<figcaption>{legend}\n<p>{line}</p></figcaption>\n</figure>"
    return _section("Errors over time", figure + deployments + _folded("As a table", _table(head, rows)))


def _causes(groups: Sequence[CauseGroup]) -> str:
    if not groups:
        return ""
    total = sum(group.number for group in groups)
    rows = [
        (
            f'{_key(_charts.colour(number))} <a href="#cause-{number}">{_text(group.cause)}</a>',
            f"{group.number:,}",
            _unbroken(f"{_charts.bar(group.number, total, number)} {_text(percent(group.number, total))}"),
            ", ".join(_unbroken(_text(one)) for one in statuses(group).split(", ")),
            _text(confidences(group)),
            _text(group.pattern.text),
        )
        for number, group in enumerate(groups)
    ]
    return _section("Causes", _table(["cause", "errors", "share", "statuses", "confidence", "in time"], rows))


def _cause(group: CauseGroup, number: int, diagnosis: Diagnosis) -> str:
    pairs = [
        ("means", _text(group.meaning)),
        ("errors", f"{group.number:,} ({_text(statuses(group))}), confidence {_text(confidences(group))}"),
        ("when", _text(period(group))),
        ("in time", _text(group.pattern.text)),
        ("target groups", _words(group.groups, len(group.groups))),
        ("targets", _words(group.targets, group.targets_met)),
        ("paths", _words(group.paths, len(group.paths))),
        ("evidence", _list(map(_text, group.example.evidence))),
    ]
    if not any(remedy.file for remedy in group.remedies):
        pairs.append(("cure", _text(group.cure)))
    pairs.append(("change", _list(f"<strong>{_text(remedy.what)}</strong>" for remedy in group.remedies)))
    pairs.append(("order", _list(map(_text, group.order), "ol")))
    if group.mitigation is not None:
        command, cost, undo = (
            _text(one) for one in (group.mitigation.command, group.mitigation.cost, group.mitigation.undo)
        )
        shown = f"<p>Cost: {cost}</p>" if command else f"<p>{cost}</p>"
        if command:
            shown = f"<pre>{command}</pre>\n{shown}\n<p>Undo:</p>\n<pre>{undo}</pre>"
        pairs.append(("now, without a deploy", shown))
    pairs.append(
        (
            "unlikely" if group.usual is Confidence.HIGH else "or",
            _list(
                f"<code>{_text(one.candidate.cause)}</code>: {_coded(one.candidate.decide)}"
                for one in group.others
            ),
        )
    )
    if group.query and diagnosis.complete:
        pairs.append(("confirm in Athena", f"<pre>{_lines(group.query)}</pre>"))
    steps = "\n".join(map(_text, group.next_steps))
    pairs.append(("next", f"<pre>{steps}</pre>"))
    items = "\n".join(f"<dt>{_text(label)}</dt><dd>{value}</dd>" for label, value in pairs if value)
    title = f"{_key(_charts.colour(number))} {_text(group.cause)}"
    return (
        f'<section id="cause-{number}">\n<h2>{title}</h2>\n<dl>\n{items}\n</dl>\n'
        f"{_folded(f'Lines: {min(_ROWS, len(group.sample))} of {group.number:,}', _rows(group))}\n</section>"
    )


def _rows(group: CauseGroup) -> str:
    rest = [one for one in group.sample if one is not group.example]
    rows = [one.row for one in (group.example, *rest)][:_ROWS]
    rows.sort(key=lambda row: row.time)
    cells = (
        (_text(place(row)), _text(when(row.time)), _text(row.target or "-"), _text(told(row))) for row in rows
    )
    return _table(["line", "time (UTC)", "target", "request → times, statuses"], cells)


def _words(words: Sequence[Counted], met: int) -> str:
    named = [
        f"<code>{_text(group_name(word))}</code> ({number:,})" for word, number in words[:_WORDS] if word
    ]
    more = f" and {met - len(named):,} more" if named and met > len(named) else ""
    return ", ".join(named) + more


def _lines(text: str) -> str:
    return "\n".join(map(_text, text.split("\n")))


def _targets(diagnosis: Diagnosis) -> str:
    chart = _charts.lives(diagnosis)
    if chart is None:
        return ""
    rows = (
        (
            f"<code>{_text(life.target)}</code>",
            _text(minute_of(life.first)),
            _text(minute_of(life.last)),
            f"{life.requests:,}",
            f"{life.errors:,}",
            _text(percent(life.errors, life.requests)),
        )
        for life in diagnosis.lives[: _charts.TARGETS]
    )
    head = ["target", "first seen (UTC)", "last seen", "requests", "errors", "share"]
    caption = "<figcaption>From each target's first line to its last; the redder, the more of its requests"
    more = len(diagnosis.lives) - _charts.TARGETS
    caption += (
        f" failed. {more:,} more targets are not drawn.</figcaption>" if more > 0 else " failed.</figcaption>"
    )
    figure = f"<figure>\n{chart}\n{caption}\n</figure>"
    return _section("Targets", figure + _folded("As a table", _table(head, rows)))


def _rejected(diagnosis: Diagnosis) -> str:
    shown = diagnosis.rejected[:_REJECTED]
    if not shown:
        return ""
    rows = (
        (
            _text(f"{one.file}:{one.line}:{one.column}"),
            _text(one.reason),
            f"<code>{_text(one.text[:200])}</code>",
        )
        for one in shown
    )
    more = diagnosis.accounting.rejected - len(shown)
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    return _section("Not understood", _table(["where", "why", "line"], rows) + rest)


def _files(diagnosis: Diagnosis) -> str:
    files = diagnosis.files
    if len(files) < 2:
        return ""
    more = f"<p>and {len(files) - _FILES:,} more</p>" if len(files) > _FILES else ""
    shown = _list(_text(file_told(one)) for one in files[:_FILES]) + more
    return _section("Files", _folded(counted(len(files), "file"), shown))
