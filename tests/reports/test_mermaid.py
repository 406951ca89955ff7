"""The flowchart: hops in order, timers between them, the violated ones marked and red."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.reports import subjects

from keepalign.model.path import Unjoined
from keepalign.reports import mermaid
from keepalign.reports.subject import Subject


def lines_of(subject: Subject) -> list[str]:
    return mermaid.render(subject).decode().splitlines()


def test_links_that_are_drawn_red_are_those_with_a_violated_timer() -> None:
    lines = lines_of(subjects.story())
    links = [line for line in lines if re.search(r"-->|-\.-", line)]
    style = re.fullmatch(r"  linkStyle ([\d,]+) .*", lines[-1])
    assert style is not None
    red = {int(number) for number in style[1].split(",")}
    for number, link in enumerate(links):
        assert (number in red) == ("✗" in link), link


def test_clean_path_has_no_red_link() -> None:
    subject = subjects.story()
    clean = replace(subject.result, findings=(), ladders={})
    assert not any("linkStyle" in line for line in lines_of(replace(subject, result=clean)))


def test_what_is_not_joined_comes_first() -> None:
    lines = lines_of(subjects.full())
    first = next(n for n, line in enumerate(lines[1:], 1) if not line.startswith("  %% "))
    assert lines[first : first + 3] == [
        '  subgraph unjoined ["read, but on no request path"]',
        '    u0["a word group<br/>a word missing"]',
        "  end",
    ]


def test_labels_mean_nothing_to_mermaid() -> None:
    subject = subjects.story()
    unjoined = (Unjoined(subjects.AWKWARD, None, subjects.AWKWARD),)
    text = mermaid.render(replace(subject, stack=replace(subject.stack, unjoined=unjoined))).decode()
    (label,) = re.findall(r'u0\["(.*)"\]\n', text)
    assert not re.search(r'["<`|\[\]{}&@]', label.replace("<br/>", ""))
    assert len(text.splitlines()) == len(lines_of(subject)) + 3
