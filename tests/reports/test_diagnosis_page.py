"""The report of `diagnose` as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.judgements import judged, scanned
from tests.logs.lines import line
from tests.reports.test_diagnosis import STALE, diagnosis_of
from tests.reports.test_diagnosis_layouts import story

from keepalign.logs.causes import CAUSES
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Diagnosis, Interrupted
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate
from keepalign.reports import diagnosis_markdown
from keepalign.reports.diagnosis_page import render

VOID: Final = frozenset({"meta", "br", "img", "link", "rect", "line", "polyline"})
ALLOWED: Final = frozenset({
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "section", "figure",
    "figcaption", "svg", "rect", "line", "polyline", "text", "details", "summary", "div", "table", "thead",
    "tbody", "tr", "th", "td", "ul", "ol", "li", "span", "a", "code", "pre", "dl", "dt", "dd", "strong",
    "footer",
})  # fmt: skip
ATTRIBUTES: Final = frozenset({
    "lang", "charset", "http-equiv", "content", "name", "class", "role", "id", "href", "scope", "viewbox",
    "aria-label", "aria-hidden", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "rx", "points",
    "text-anchor", "fill-opacity", "preserveaspectratio",
})  # fmt: skip


class Page(HTMLParser):
    """Elements in their nesting, their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID or tag == "rect" or tag == "line":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page_of(diagnosis: Diagnosis) -> Page:
    """The page, which is well nested and holds nothing but what it may."""
    page = Page(render(diagnosis).decode())
    assert page.open == []
    assert page.met <= ALLOWED, page.met - ALLOWED
    assert {name for _, name, _ in page.attributes} <= ATTRIBUTES
    for tag, name, value in page.attributes:
        assert name != "href" or value.startswith("#cause-"), (tag, value)
    return page


def test_page_allows_its_own_style_and_nothing_else() -> None:
    text = render(story()).decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("meta", "content", policy) in page_of(story()).attributes
    assert "@import" not in style
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in style


def test_page_tells_the_verdict_the_causes_and_the_count() -> None:
    found = story()
    text = " ".join(page_of(found).words)
    assert found.verdict in text
    for group in found.groups:
        assert text.count(group.cause) >= 3
        assert group.meaning in text
    assert "keepalign explain backend-keepalive-below-lb-idle" in text
    assert "Deployments, dashed:" in text
    assert "b.log.gz: 4 lines: 0 errors, 4 fine, 0 not understood" in text


def test_charts_have_titles_and_tables_with_the_same_numbers() -> None:
    text = render(story()).decode()
    assert '<svg class="time" viewBox="0 0 1000 204" role="img" aria-label="Errors over time by cause' in text
    assert "<title>1970-01-01 00:30 UTC: 20 target-closed-mid-request</title>" in text
    assert '<td><span class="one">1970-01-01 00:30</span></td><td>1</td><td>20</td>' in text
    assert 'aria-label="Targets from their first line to their last"' in text
    assert "10.0.0.2:80: 1970-01-01 00:00 to 1970-01-01 00:29 UTC, 330 requests, 60 errors (18 %)" in text
    assert 'class="deploy"' in text


def test_many_causes_share_the_last_colour() -> None:
    tally = Tally()
    for number, cause in enumerate(sorted(CAUSES)):
        for n in range(number + 1):
            tally.add(judged(cause, minute=n, number=n))
    found = tally.diagnosis([scanned({(minute, "10.0.0.1:80"): (9, 1) for minute in range(60)})])
    text = render(found).decode()
    page_of(found)
    assert "other causes" in text
    assert 'class="c8"' not in text


def test_candidates_are_unlikely_where_the_cause_is_certain() -> None:
    for confidence, label in ((Confidence.HIGH, "unlikely"), (Confidence.MEDIUM, "or")):
        tally = Tally()
        tally.add(judged(confidence=confidence, candidates=(Candidate("other", "does `a <b>` say so?"),)))
        text = render(tally.diagnosis([])).decode()
        assert f"<dt>{label}</dt><dd><ul>" in text
        assert "<code>other</code>: does <code>a &lt;b&gt;</code> say so?" in text
        told = diagnosis_markdown.render(tally.diagnosis([])).decode()
        assert f"- **{label}** `other`: does " in told


def test_page_of_nothing_stands() -> None:
    assert "No ALB access log line could be read." in page_of(diagnosis_of()).words
    assert "svg" not in page_of(diagnosis_of()).met
    page_of(diagnosis_of(*STALE))


def test_interrupted_run_is_marked() -> None:
    found = replace(story(), partial=Interrupted(62, 100))
    assert "Interrupted: 62 % of the bytes were read, and what follows is of those." in page_of(found).words


def test_page_stays_small() -> None:
    tally = Tally()
    for n in range(3000):
        tally.add(
            judged(minute=n % 1500, number=n, target=f"10.{n % 7}.{n // 100}.{n % 100}:80", path=f"/{n}/x")
        )
    counts = {(minute, f"10.0.{n}.1:80"): (9, 1) for minute in range(0, 1500, 10) for n in range(200)}
    assert len(render(tally.diagnosis([scanned(counts)]))) < 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_is_defined_in_both_schemes(scheme: str) -> None:
    text = render(diagnosis_of()).decode()
    light, dark = text.split("prefers-color-scheme: dark", 1)
    defined = set(re.findall(r"(--[a-z0-9]+):", light if scheme == "light" else dark))
    assert set(re.findall(r"var\((--[a-z0-9]+)\)", text)) <= defined


hostile = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</title></style></svg><script>",
        "&lt;script&gt;",
        "javascript:alert(1)",
        "\x1b[31m\x9b\x00",
        "]]><!--",
        "'\"`",
    ]
)


@given(hostile, hostile, hostile)
def test_no_foreign_text_becomes_markup(path: str, target: str, name: str) -> None:
    found = story()
    (first, *rest) = found.groups
    evil = replace(
        first.example, row=replace(first.example.row, request=f"GET {path}", file=name), evidence=(path,)
    )
    first = replace(
        first,
        example=evil,
        sample=(evil,),
        targets=(first.targets[0]._replace(word=target),),
        paths=(first.paths[0]._replace(word=path),),
        groups=(first.groups[0]._replace(word=f"arn:targetgroup/{name}/1"),),
    )
    lives = tuple(replace(life, target=target) for life in found.lives)
    files = tuple(replace(one, name=name, kind=path, skipped=True) for one in found.files)
    deployments = tuple(replace(one, source=name) for one in found.deployments)
    found = replace(
        found, groups=(first, *rest), lives=lives, files=files, deployments=deployments, notes=(path, target),
        verdict=f"{name} {path}",
    )  # fmt: skip
    page_of(found)
    text = render(found).decode()
    assert all(part.isprintable() for part in text.split("\n"))


@given(hostile)
def test_any_lines_make_a_page(text: str) -> None:
    request = text.replace('"', "").replace("\n", " ").replace("\r", " ")
    page_of(diagnosis_of(line("0.001 4.2 -1 502 -", request=request), f"{request} nonsense"))
