"""One line for each finding, which editors and grep can follow."""

from __future__ import annotations

import re

from tests.reports import subjects

from keepalign.reports import concise


def test_what_is_not_joined_comes_first_and_what_is_unknown_last() -> None:
    lines = concise.render(subjects.full()).decode().splitlines()
    assert lines[0] == "stack.conf:1:1: unjoined a word group: a word missing"
    assert lines[1].endswith("; made by stack.conf:1: a word option of httpd: 60 s → 5 s")
    assert lines[-4:-1] == [
        "stack.conf:1:1: unknown keepalive-margin-thin on orders /: a word reason; a word supply",
        "stack.conf:1:1: unknown a word note",
        "unknown nowhere",
    ]
    assert lines[-1] == (
        "4 findings (4 high) on 2 request paths, 2 suppressed, 2 of the baseline gone, 3 unknown,"
        " 1 not joined."
    )


def test_finding_without_a_place_begins_with_its_path() -> None:
    line = concise.render(subjects.without_place()).decode().splitlines()[0]
    assert line.startswith("orders /: info backend-keepalive-below-lb-idle ")


def test_every_finding_is_one_line_whatever_the_files_say() -> None:
    subject = subjects.full(subjects.AWKWARD)
    text = concise.render(subject).decode()
    assert len(text.splitlines()) == 1 + len(subject.result.findings) + 3 + 1
    assert not re.search("[\x00-\x09\x0b-\x1f]", text)
