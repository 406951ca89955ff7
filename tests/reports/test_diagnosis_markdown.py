"""The report of `diagnose` for a ticket."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from tests.logs.lines import line
from tests.reports.test_diagnosis import STALE, diagnosis_of

from keepalign.model.diagnosis import Diagnosis, Interrupted
from keepalign.reports.diagnosis_markdown import LONGEST, MARK, render

SLOW = line("0.001 -1 -1 504 -", at=300, elapsed=60.002, request="GET http://example.com:80/reports HTTP/1.1")
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
OWN_HTML = ("<!--", "<details", "</details>", "<summary>", "</summary>", "<code>", "</code>")


def text_of(diagnosis: Diagnosis) -> str:
    return render(diagnosis).decode()


def test_report_of_nothing_is_short() -> None:
    assert text_of(diagnosis_of()) == snapshot("""\
<!-- keepalign diagnose -->
### keepalign: what the errors are

**No ALB access log line could be read.**

0 lines: 0 errors judged, 0 not understood.
""")


def test_interrupted_run_is_marked() -> None:
    found = replace(diagnosis_of(*STALE), partial=Interrupted(62, 100))
    assert "> **Interrupted: 62 % of the bytes were read, and what follows is of those.**" in text_of(found)


def test_credentials_in_addresses_are_not_told() -> None:
    request = "GET http://example.com:80/login?token=abc123secret&x=1 HTTP/1.1"
    assert "abc123secret" not in text_of(diagnosis_of(line("0.001 4.2 -1 502 -", request=request)))


def test_what_is_too_long_is_left_out_and_told() -> None:
    found = diagnosis_of(*STALE, SLOW)
    evidence = tuple(f"{n} {'x' * 500}" for n in range(80))
    groups = tuple(
        replace(group, example=replace(group.example, evidence=evidence), sample=()) for group in found.groups
    )
    told = text_of(replace(found, groups=groups))
    assert len(told) < LONGEST + 1000
    assert "1 more cause would be too long for a comment." in told


hostile = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</details><img src=x onerror=alert(1)>",
        "```\n<b>",
        "| a | b |",
        "[x](javascript:alert(1))",
        "@everyone #1",
        "\x1b[31m\x9b\x00",
        "$(rm -rf /)`id`",
        "‮​<",
    ]
)


@given(hostile, hostile, hostile)
def test_no_foreign_text_has_a_meaning(path: str, reason: str, name: str) -> None:
    path, reason = (text.replace('"', "").replace("\n", " ").replace("\r", " ") for text in (path, reason))
    found = diagnosis_of(
        line(
            "0.001 4.2 -1 502 -", request=f"GET http://a:80/{path} HTTP/1.1", target=path.split(" ")[0] or "-"
        ),
        line("-1 -1 -1 502 -", reason=f"Lambda{reason}", target="-"),
        f"{reason} nonsense",
    )
    found = replace(found, notes=(*found.notes, name), verdict=f"{found.verdict} {name}")
    told = text_of(found)
    assert told.startswith(MARK)
    # A mention is broken by one.
    shown = told.replace("\N{ZERO WIDTH SPACE}", "")
    assert all(part.isprintable() for part in shown.split("\n"))
    tokens = PARSER.parse(told)
    inner = [child for token in tokens for child in token.children or ()]
    for token in (*tokens, *inner):
        if token.type in ("html_block", "html_inline"):
            rest = token.content
            for own in OWN_HTML:
                rest = rest.replace(own, "")
            assert "<" not in rest, rest
        assert token.type not in ("link_open", "image"), token
