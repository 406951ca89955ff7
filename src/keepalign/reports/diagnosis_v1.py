"""JSON v1 of `diagnose`: a contract with other programs, apart from the model. It changes only by adding.

A name that ends in `_s` is in seconds; times are ISO 8601 in UTC; lines and columns count from 1. The schema
is `docs/reference/diagnose-v1.schema.json`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

import keepalign
from keepalign.model import observation as model
from keepalign.model.finding import Confidence
from keepalign.reports.diagnosis import when
from keepalign.units import Duration, Instant

VERSION: Final = 1


class Candidate(msgspec.Struct, frozen=True):
    """Another cause that remains possible, and what would decide for it."""

    cause: str
    decide: str


class Error(msgspec.Struct, frozen=True):
    """One line that was judged. Null: "-", -1, or a field the line lacks. `elb_status` is 0 for "000"."""

    file: str
    line: int
    time: str
    created: str | None
    target_group: str | None
    target: str | None
    client: str | None
    request: str | None
    elb_status: int | None
    target_status: int | None
    request_processing_time_s: float | None
    target_processing_time_s: float | None
    response_processing_time_s: float | None
    sent_bytes: int | None
    trace_id: str | None
    cause: str
    confidence: Literal["high", "medium", "low"]
    evidence: list[str]
    candidates: list[Candidate]


class Count(msgspec.Struct, frozen=True):
    """How many errors have this value; an empty value: the line names none."""

    value: str
    errors: int


class Cause(msgspec.Struct, frozen=True):
    """All errors of one cause. `example` is the place in `errors` of the one that shows it best, from 0."""

    cause: str
    errors: int
    confidence: Literal["high", "medium", "low"]
    first: str
    last: str
    statuses: list[Count]
    targets: list[Count]
    example: int
    meaning: str
    cure: str
    next: list[str]


class Rejected(msgspec.Struct, frozen=True):
    """A line that could not be read."""

    file: str
    line: int
    column: int
    reason: str
    text: str


class Accounting(msgspec.Struct, frozen=True):
    """Where every line went: lines = judged + fine + rejected + blank + continued.

    `fine`: answered without an error. `continued`: the rest of a line that was wrapped.
    """

    lines: int
    judged: int
    fine: int
    rejected: int
    blank: int
    continued: int


class Report(msgspec.Struct, frozen=True):
    """The whole answer of `keepalign diagnose --format json`. `errors` stand by cause, then by time."""

    schema: Literal[1]
    keepalign: str
    verdict: str
    causes: list[Cause]
    errors: list[Error]
    rejected: list[Rejected]
    notes: list[str]
    accounting: Accounting


def render(diagnosis: model.Diagnosis) -> bytes:
    """The report in UTF-8, two spaces of indent, a line end at the end."""
    return msgspec.json.format(msgspec.json.encode(report(diagnosis)), indent=2) + b"\n"


def schema() -> bytes:
    """JSON Schema of Report, in the form of render()."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=2) + b"\n"


def report(diagnosis: model.Diagnosis) -> Report:
    """The report as structs."""
    causes: list[Cause] = []
    errors: list[Error] = []
    for group in diagnosis.groups:
        causes.append(_cause(group, len(errors)))
        errors += [_error(one) for one in group.judged]
    counts = diagnosis.accounting
    return Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        verdict=diagnosis.verdict,
        causes=causes,
        errors=errors,
        rejected=[Rejected(r.file, r.line, r.column, r.reason, r.text) for r in diagnosis.rejected],
        notes=list(diagnosis.notes),
        accounting=Accounting(
            counts.lines, counts.judged, counts.fine, counts.rejected, counts.blank, counts.continued
        ),
    )


_CONFIDENCE: Final[dict[Confidence, Literal["high", "medium", "low"]]] = {
    Confidence.HIGH: "high",
    Confidence.MEDIUM: "medium",
    Confidence.LOW: "low",
}


def _cause(group: model.CauseGroup, before: int) -> Cause:
    return Cause(
        cause=group.cause,
        errors=len(group.judged),
        confidence=_CONFIDENCE[group.confidence],
        first=_time(group.first),
        last=_time(group.last),
        statuses=[Count(value, errors) for value, errors in group.statuses],
        targets=[Count(value, errors) for value, errors in group.targets],
        example=before + group.judged.index(group.example),
        meaning=group.meaning,
        cure=group.cure,
        next=list(group.next_steps),
    )


def _error(judged: model.Judged) -> Error:
    row = judged.row
    return Error(
        file=row.file,
        line=row.line,
        time=_time(row.time),
        created=_time(row.created) if row.created is not None else None,
        target_group=row.target_group,
        target=row.target,
        client=row.client,
        request=row.request,
        elb_status=row.elb_status,
        target_status=row.target_status,
        request_processing_time_s=_seconds(row.request_time),
        target_processing_time_s=_seconds(row.target_time),
        response_processing_time_s=_seconds(row.response_time),
        sent_bytes=row.sent_bytes,
        trace_id=row.trace_id,
        cause=judged.cause,
        confidence=_CONFIDENCE[judged.confidence],
        evidence=list(judged.evidence),
        candidates=[Candidate(candidate.cause, candidate.decide) for candidate in judged.candidates],
    )


def _time(at: Instant) -> str:
    return f"{when(at, digits=6).replace(' ', 'T')}Z"


def _seconds(length: Duration | None) -> float | None:
    return length.seconds if length is not None else None
