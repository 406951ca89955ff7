"""GitLab code quality: a JSON array, an entry for each finding.

Source: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from keepalign.model.finding import Severity
from keepalign.model.source import Span
from keepalign.reports import _json
from keepalign.reports.subject import Subject, in_file, primary

_SEVERITIES: Final = {
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}

_NOWHERE: Final = "keepalign.toml"
"""An entry needs a file: where what no file says would be declared."""


def render(subject: Subject) -> bytes:
    """What could not be joined as `info`, then the findings; every fingerprint once. UTF-8."""
    seen: Counter[str] = Counter()

    def entry(check: str, severity: str, text: str, span: Span | None, fingerprint: str) -> dict[str, object]:
        seen[fingerprint] += 1
        number = seen[fingerprint]
        return {
            "description": text,
            "check_name": check,
            "fingerprint": fingerprint if number == 1 else f"{fingerprint}-{number}",
            "severity": severity,
            "location": {
                "path": subject.name(span.file) if in_file(span) else _NOWHERE,
                "lines": {"begin": span.line if in_file(span) else 1},
            },
        }

    entries = [
        entry("unjoined", "info", f"{u.what}: {u.missing}", u.place, f"unjoined {u.what}")
        for u in subject.stack.unjoined
    ]
    for finding in subject.result.findings:
        where = primary(finding)
        text = f"{finding.title}: {finding.arithmetic}"
        if flips := subject.gate.flips.get(finding):
            text += f"; made by {'; '.join(flip.text for flip in flips)}"
        others = [
            f"{each.label} ({subject.place(each.span)})"
            for each in finding.locations
            if each != where and each.span is not None
        ]
        if others:
            text += f". Compared with: {'; '.join(others)}"
        fingerprint = subject.gate.fingerprints.get(finding, finding.cause)
        entries.append(entry(finding.cause, _SEVERITIES[finding.severity], text, where.span, fingerprint))
    return _json.written(entries)
