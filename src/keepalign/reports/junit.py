"""JUnit XML: a test suite for each request path, a test case for each cause.

A finding is a failure; what is unknown or suppressed is skipped, with the reason. The element and attribute
names are those that Jenkins, GitLab and others take:
<https://github.com/testmoapp/junitxml>.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from keepalign.model.finding import Finding, Undecided
from keepalign.model.gated import Suppressed
from keepalign.model.path import RequestPath
from keepalign.reports.subject import Subject, in_file, primary, summary

# Characters that XML 1.0 cannot hold, escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(subject: Subject) -> bytes:
    """UTF-8 with an XML declaration."""
    root = ET.Element("testsuites", name="keepalign")
    if subject.stack.unjoined:
        suite = _suite(root, "not joined")
        for unjoined in subject.stack.unjoined:
            case = _case(suite, "unjoined", unjoined.what)
            place = f" ({subject.place(unjoined.place)})" if unjoined.place is not None else ""
            _skipped(case, f"{unjoined.missing}{place}")
    for path in subject.stack.paths:
        suite = _suite(root, path.name)
        for cause in _causes(subject, path):
            _outcome(_case(suite, path.name, cause), cause, path, subject)
    if subject.notes:
        suite = _suite(root, "not understood")
        for note in subject.notes:
            where = subject.place(note.span) if note.span is not None else "notes"
            _skipped(_case(suite, "notes", where), note.text)
    totals = dict.fromkeys(("tests", "failures", "skipped"), 0)
    for suite in root:
        failures, skipped = len(suite.findall("testcase/failure")), len(suite.findall("testcase/skipped"))
        counts = {"tests": len(suite), "failures": failures, "skipped": skipped}
        for name, number in counts.items():
            suite.set(name, str(number))
            totals[name] += number
        suite.set("errors", "0")
    for name, number in totals.items():
        root.set(name, str(number))
    root.set("errors", "0")
    if len(root):
        ET.SubElement(root[-1], "system-out").text = _text(summary(subject))
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _causes(subject: Subject, path: RequestPath) -> list[str]:
    """Those looked for, then those that only a finding names: a rule that failed."""
    also = [f.cause for f in subject.result.findings if path.name in subject.result.paths_of(f)]
    return list(dict.fromkeys((*subject.causes, *also)))


def _suite(root: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=_text(name))


def _case(suite: ET.Element, classname: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_text(classname), name=_text(name), time="0")


def _outcome(case: ET.Element, cause: str, path: RequestPath, subject: Subject) -> None:
    """One element at most: consumers read no more than one failure of a case."""
    result = subject.result
    found = [f for f in result.findings if f.cause == cause and path.name in result.paths_of(f)]
    if found:
        _failure(case, found, subject)
        return
    if missing := [u for u in result.undecided if u.cause == cause and _concerns(u, path)]:
        _skipped(case, "; ".join(f"unknown: {u.reason}; {u.supply}" for u in missing))
        return
    held = [s for s in subject.gate.suppressed if s.finding.cause == cause]
    if held := [s for s in held if path.name in result.paths_of(s.finding)]:
        _skipped(case, "; ".join(map(_held, held)))


def _concerns(undecided: Undecided, path: RequestPath) -> bool:
    # One that several paths share is kept under the first of them.
    return undecided.path == path.name or undecided.hop in {hop.name for hop in path.hops}


def _held(suppressed: Suppressed) -> str:
    until = f" until {suppressed.until.isoformat()}" if suppressed.until is not None else ""
    return f"suppressed by {suppressed.by.value}{until}: {suppressed.reason}"


def _failure(case: ET.Element, found: Sequence[Finding], subject: Subject) -> None:
    said = []
    for finding in found:
        where = primary(finding).span
        flips = [f"made by {flip.text}" for flip in subject.gate.flips.get(finding, ())]
        said.append(
            "\n".join(
                (
                    f"{finding.severity.word}: {finding.title}",
                    finding.arithmetic,
                    *flips,
                    *(
                        f"{subject.place(each.span)}: {each.label}" if each.span is not None else each.label
                        for each in finding.locations
                    ),
                )
            )
        )
        if in_file(where) and "file" not in case.attrib:
            case.set("file", _text(subject.name(where.file)))
            case.set("line", str(where.line))
    worst = max(found, key=lambda f: f.severity)
    element = ET.SubElement(case, "failure", message=_text(worst.title), type=worst.severity.word)
    element.text = _text("\n\n".join(said))


def _skipped(case: ET.Element, message: str) -> None:
    ET.SubElement(case, "skipped", message=_text(message))


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
