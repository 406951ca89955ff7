"""Workflow commands: escaped, ten at most, the most serious first."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.reports import subjects

from keepalign.model.finding import Severity
from keepalign.reports import github
from keepalign.reports.subject import Subject

COMMAND = re.compile(r"::(error|warning|notice) ((?:\w+=[^,:]*,)*\w+=[^,:]*)::(.*)")


def commands(subject: Subject) -> list[tuple[str, dict[str, str], str]]:
    """What the runner makes of the lines: command, properties and message, unescaped."""
    found = []
    for line in github.render(subject).decode().split("\n"):
        if not line.startswith("::"):
            continue
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        properties = dict(pair.split("=", 1) for pair in match[2].split(","))
        found.append((match[1], {k: unescaped(v) for k, v in properties.items()}, unescaped(match[3])))
    return found


def unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def test_finding_annotates_both_sides() -> None:
    subject = subjects.story()
    first, second, *_ = commands(subjects.only(subject, subject.result.findings[0]))
    assert (first[0], first[1]["file"], first[1]["line"], first[1]["col"]) == (
        "error",
        "stack.conf",
        "2",
        "26",
    )
    assert "Compared with: aws_lb.this re-uses it for up to 60 s (stack.conf:1:28)" in first[2].split("\n")
    assert second == (
        "notice",
        {
            "file": "stack.conf",
            "line": "1",
            "col": "28",
            "title": "backend-keepalive-below-lb-idle: the other side",
        },
        "aws_lb.this re-uses it for up to 60 s",
    )


def test_at_most_ten_are_printed_and_every_finding_is_among_them() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    many = [replace(first, hop=f"hop{n}", title=f"finding {n}") for n in range(8)]
    found = commands(subjects.only(subject, *many))
    assert len(found) == 10
    assert sum(command == "error" for command, _, _ in found) == 8
    last = github.render(subjects.only(subject, *many)).decode().splitlines()[-1]
    assert last == "keepalign: 8 findings (8 high) on 2 request paths. 6 annotations left out."


def test_what_is_not_joined_is_one_warning_before_the_findings() -> None:
    command, properties, message = commands(subjects.full())[0]
    assert (command, properties["title"]) == ("warning", "keepalign: read, but on no request path")
    assert message == "a word group: a word missing"


def test_nothing_in_a_file_makes_a_command_or_a_property() -> None:
    subject = subjects.full(subjects.AWKWARD)
    found = commands(subject)
    assert found[1][1]["file"] == f"dir/{subjects.AWKWARD}.conf"
    assert subjects.AWKWARD in found[1][2]
    assert len(found) == len([line for line in github.render(subject).decode().split("\n") if line]) - 1


def test_severity_decides_the_command() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    said = [commands(subjects.only(subject, replace(first, severity=s)))[0][0] for s in Severity]
    assert said == ["notice", "notice", "warning", "error"]


def test_finding_without_a_place_has_no_file() -> None:
    ((command, properties, _),) = commands(subjects.without_place())
    assert (command, list(properties)) == ("notice", ["title"])
