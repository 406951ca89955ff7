"""SARIF 2.1.0, for code scanning and editors.

The second place of a finding is linked from its message (`[text](1)`), edits are `fixes`, and what could not
be joined or decided is a notification of the invocation.

Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>;
what GitHub reads of it:
<https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support>.
`primaryLocationLineHash` is left to GitHub's upload, which warns of any other value:
<https://github.com/github/codeql-action/issues/4052>.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec

import keepalign
from keepalign.model.checked import Change
from keepalign.model.finding import Finding, Location, Severity
from keepalign.model.gated import HeldBy, Suppressed
from keepalign.model.page import Page
from keepalign.model.source import Edit, Span
from keepalign.reports._lines import hidden
from keepalign.reports.page import markdown
from keepalign.reports.subject import Subject, in_file, primary, summary

Json: TypeAlias = dict[str, object]

FINGERPRINT: Final = "keepalign/v1"

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "SRCROOT"
_LEVELS: Final = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}


def render(subject: Subject) -> bytes:
    """One run, in UTF-8; also findings that are held back, as suppressed results."""
    held = [each.finding for each in subject.gate.suppressed]
    causes = list(dict.fromkeys((*subject.causes, *(f.cause for f in (*subject.result.findings, *held)))))
    results = [_result(f, None, causes, subject) for f in subject.result.findings]
    results += [_result(each.finding, each, causes, subject) for each in subject.gate.suppressed]
    driver: Json = {
        "name": "keepalign",
        "version": keepalign.__version__,
        "semanticVersion": keepalign.__version__,
        "rules": [_rule(cause, subject) for cause in causes],
    }
    run: Json = {
        "tool": {"driver": driver},
        "invocations": [
            {"executionSuccessful": True, "toolExecutionNotifications": list(_notifications(subject))}
        ],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"summary": summary(subject)},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def _rule(cause: str, subject: Subject) -> Json:
    page = subject.pages.get(cause)
    name = "".join(word.capitalize() for word in cause.split("-"))
    if page is None:
        return {"id": cause, "name": name, "shortDescription": {"text": cause}}
    rule: Json = {
        "id": cause,
        "name": name,
        "shortDescription": {"text": f"{page.title}."},
        "fullDescription": {"text": f"{page.title}."},
        "help": {"text": _help_text(page), "markdown": markdown(page)},
        "properties": {"tags": ["timeout", "reliability"]},
    }
    if page.severity is not None:
        rule["defaultConfiguration"] = {"level": _LEVELS[page.severity]}
    if subject.docs:
        rule["helpUri"] = f"{subject.docs}{cause}.md"
    return rule


def _help_text(page: Page) -> str:
    return f"{page.title}.\n\n{page.body}"


def _result(finding: Finding, held: Suppressed | None, causes: list[str], subject: Subject) -> Json:
    first = primary(finding)
    related = [each for each in finding.locations if each != first and in_file(each.span)]
    result: Json = {
        "ruleId": finding.cause,
        "ruleIndex": causes.index(finding.cause),
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding, first, related, subject)},
        "locations": [_location(first, subject)] if in_file(first.span) else [],
        "relatedLocations": [
            {"id": number, **_location(each, subject)} for number, each in enumerate(related, 1)
        ],
        "properties": {
            "confidence": finding.confidence.value,
            "hop": finding.hop,
            "paths": list(subject.result.paths_of(finding)),
        },
    }
    if fingerprint := subject.gate.fingerprints.get(finding, ""):
        result["partialFingerprints"] = {FINGERPRINT: fingerprint}
    if fixes := list(_fixes(finding, subject)):
        result["fixes"] = fixes
    if held is not None:
        result["suppressions"] = [_suppression(held, subject)]
    return result


def _message(finding: Finding, first: Location, related: list[Location], subject: Subject) -> str:
    symptom = finding.symptom
    seen = f"{symptom.status} sent by {symptom.sent_by}, " if symptom.status else ""
    links = [f"[{_link_text(each.label)}]({number})" for number, each in enumerate(related, 1)]
    others = [each.label for each in finding.locations if each != first and each not in related]
    sentences = [finding.title, finding.arithmetic]
    if said := [*links, *others]:
        sentences.append(f"Compared with: {'; '.join(said)}")
    sentences.append(f"You see: {seen}{symptom.text}")
    sentences += [f"Made by {flip.text}" for flip in subject.gate.flips.get(finding, ())]
    return "".join(f"{sentence}. " for sentence in sentences).rstrip()


def _link_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _location(location: Location, subject: Subject) -> Json:
    assert location.span is not None
    found: Json = {
        "physicalLocation": _physical(location.span, subject),
        "message": {"text": location.label},
    }
    if location.span.name:
        found["logicalLocations"] = [{"fullyQualifiedName": location.span.name}]
    return found


def _physical(span: Span, subject: Subject) -> Json:
    region = _region(span, subject)
    source = subject.sources.get(span.file)
    if source is not None:
        region["snippet"] = {"text": hidden(source.line(span.line))}
    return {"artifactLocation": _artifact(span.file, subject), "region": region}


def _artifact(file: str, subject: Subject) -> Json:
    name = subject.name(file)
    uri = quote(name)
    # Only what lies below the root has a name that means the same to whoever reads the log.
    if name.startswith("/"):
        return {"uri": f"file://{uri}"}
    return {"uri": uri} if name.startswith("../") else {"uri": uri, "uriBaseId": _ROOT}


def _region(span: Span, subject: Subject) -> Json:
    source = subject.sources.get(span.file)
    if source is None:
        return {"startLine": span.line} if span.name else {"startLine": span.line, "startColumn": span.column}
    end = source.span(span.end, span.end)
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": end.line,
        "endColumn": end.column,
    }


def _fixes(finding: Finding, subject: Subject) -> Iterator[Json]:
    """One fix with all edits that this finding asks for: half of them is no cure."""
    changes = [change for change in subject.changes_of(finding) if change.edits]
    if not changes:
        return
    by_file: dict[str, list[Edit]] = {}
    for edit in dict.fromkeys(edit for change in changes for edit in change.edits):
        by_file.setdefault(edit.span.file, []).append(edit)
    yield {
        "description": {"text": "; ".join(map(_change_text, changes))},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(file, subject),
                "replacements": [
                    {"deletedRegion": _region(edit.span, subject), "insertedContent": {"text": edit.text}}
                    for edit in edits
                ],
            }
            for file, edits in by_file.items()
        ],
    }


def _change_text(change: Change) -> str:
    return f"{change.setting.option} of {change.hop} to {change.value}: {change.why}"


def _suppression(held: Suppressed, subject: Subject) -> Json:
    kind = "inSource" if held.by is HeldBy.COMMENT else "external"
    found: Json = {"kind": kind, "status": "accepted", "justification": held.reason}
    if held.place is not None:
        found["location"] = {"physicalLocation": _physical(held.place, subject)}
    return found


def _notifications(subject: Subject) -> Iterator[Json]:
    for unjoined in subject.stack.unjoined:
        text = f"Read, but on no request path: {unjoined.what}: {unjoined.missing}"
        yield _notification("warning", text, unjoined.place, subject)
    for text, span in subject.unknown():
        yield _notification("note", f"Unknown: {text}", span, subject)
    if subject.cure.failed:
        yield _notification("note", f"No fix was found: {subject.cure.failed}", None, subject)


def _notification(level: str, text: str, span: Span | None, subject: Subject) -> Json:
    found: Json = {"level": level, "message": {"text": text}}
    if in_file(span):
        found["locations"] = [{"physicalLocation": _physical(span, subject)}]
    return found
