"""Findings that were there before: written once, held back from then on, told when they are gone.

A file of JSON with `schema: 1` and an entry for each fingerprint with its count. Cause, hop and file are
there for people and for what is told of findings that are gone; only fingerprints and counts are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal

import msgspec

from keepalign.errors import UsageError
from keepalign.gate.gated import Gated
from keepalign.model.finding import Finding
from keepalign.model.gated import Gone, HeldBy, Suppressed

_HINT: Final = "write it again: keepalign check … --write-baseline FILE"
_REASON: Final = "in the baseline"


class Entry(msgspec.Struct, frozen=True):
    """One fingerprint."""

    fingerprint: str
    cause: str
    hop: str
    file: str
    count: int


class Baseline(msgspec.Struct, frozen=True):
    """The whole file."""

    schema: Literal[1]
    findings: list[Entry]


def of(
    findings: Iterable[Finding], fingerprints: Mapping[Finding, str], name: Callable[[str], str]
) -> Baseline:
    """The baseline of `findings`, in the order of causes, hops and files.

    Args:
        name: a file's name whatever folder the check is started in.
    """
    counts: Counter[str] = Counter()
    firsts: dict[str, Finding] = {}
    for finding in findings:
        counts[fingerprints[finding]] += 1
        firsts.setdefault(fingerprints[finding], finding)
    entries = [
        Entry(key, finding.cause, finding.hop, _file(finding, name), counts[key])
        for key, finding in firsts.items()
    ]
    return Baseline(1, sorted(entries, key=lambda e: (e.cause, e.hop, e.file, e.fingerprint)))


def _file(finding: Finding, name: Callable[[str], str]) -> str:
    return next((name(each.span.file) for each in finding.locations if each.span is not None), "")


def encoded(baseline: Baseline) -> bytes:
    """In UTF-8, indented, so that it can be reviewed and merged."""
    return msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n"


def decoded(data: bytes, file: str) -> Baseline:
    """Raises: UsageError: `data`, read from `file`, is no baseline."""
    try:
        return msgspec.json.decode(data, type=Baseline)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is no baseline: {error}", hint=_HINT) from error


def beside(baseline: Baseline, now: Gated) -> Gated:
    """`now` without what the baseline has."""
    ignored = [each.finding for each in now.gate.suppressed]
    held, gone = held_by_baseline(baseline, now.result.findings, ignored, now.gate.fingerprints)
    left = now.without(held)
    return replace(left, gate=replace(left.gate, gone=tuple(gone)))


def held_by_baseline(
    baseline: Baseline,
    findings: Iterable[Finding],
    others: Iterable[Finding],
    fingerprints: Mapping[Finding, str],
) -> tuple[list[Suppressed], list[Gone]]:
    """Those of `findings` that the baseline has, as often as it has them; and what of it is gone.

    Args:
        others: found as well, but held back by something else: they are not gone.
    """
    left = Counter({entry.fingerprint: entry.count for entry in baseline.findings})
    held: list[Suppressed] = []
    for finding in findings:
        if left[fingerprints[finding]] > 0:
            left[fingerprints[finding]] -= 1
            held.append(Suppressed(finding, HeldBy.BASELINE, _REASON))
    for finding in others:
        left[fingerprints[finding]] -= 1
    gone = [
        Gone(entry.fingerprint, entry.cause, entry.hop, entry.file, left[entry.fingerprint])
        for entry in baseline.findings
        if left[entry.fingerprint] > 0
    ]
    return held, gone
