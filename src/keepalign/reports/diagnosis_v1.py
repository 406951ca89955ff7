"""JSON v1 of `diagnose`: what a log came to, in the types of `diagnosis_v1_types`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

import keepalign
from keepalign.model import diagnosis as model
from keepalign.model.finding import Confidence
from keepalign.model.observation import Judged
from keepalign.reports import _json
from keepalign.reports import diagnosis_v1_types as v1
from keepalign.reports.diagnosis import minute_of, when
from keepalign.units import Duration, Instant

VERSION: Final = 1
_NOT_ASCII: Final = re.compile(r"[^\n -~]")


def render(diagnosis: model.Diagnosis) -> bytes:
    """The report in UTF-8, two spaces of indent, a line end at the end."""
    text = json.dumps(msgspec.to_builtins(report(diagnosis)), ensure_ascii=False)
    return msgspec.json.format(_NOT_ASCII.sub(_harmless, text).encode(), indent=2) + b"\n"


def _harmless(match: re.Match[str]) -> str:
    """JSON lets DEL, C1 controls and marks that turn text around stand as they are; terminals obey them."""
    character = match[0]
    if character.isprintable():
        return character
    escaped = json.dumps(character) if character != "\x7f" else '"\\u007f"'
    # Half of a surrogate pair (a file's name that is no UTF-8) is no character: its escape is shown as text.
    return escaped[1:-1] if not "\ud800" <= character <= "\udfff" else f"\\{escaped[1:-1]}"


def schema() -> bytes:
    """JSON Schema of the report, in the form of render()."""
    return _json.schema_of(v1.Report)


def report(diagnosis: model.Diagnosis) -> v1.Report:
    """The report as structs."""
    causes: list[v1.Cause] = []
    errors: list[v1.Error] = []
    for group in diagnosis.groups:
        causes.append(_cause(group, len(errors)))
        errors += [_error(one) for one in group.sample]
    partial = diagnosis.partial
    return v1.Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        verdict=diagnosis.verdict,
        causes=causes,
        errors=errors,
        rejected=[v1.Rejected(r.file, r.line, r.column, r.reason, r.text) for r in diagnosis.rejected],
        notes=list(diagnosis.notes),
        accounting=_accounting(diagnosis.accounting),
        requests=_histogram(diagnosis.requests),
        files=[
            v1.File(
                one.name, one.kind, one.size, one.skipped, one.cached, one.beside, _accounting(one.accounting)
            )
            for one in diagnosis.files
        ],
        targets=[
            v1.Target(one.target, _minute(one.first), _minute(one.last), one.requests, one.errors)
            for one in diagnosis.lives
        ],
        deployments=[
            v1.Deployment(_time(one.at), _time(one.until), one.removed, one.source, one.known)
            for one in diagnosis.deployments
        ],
        timers=[_timers(one) for one in diagnosis.timers],
        partial=v1.Partial(partial.read, partial.all) if partial is not None else None,
        complete=diagnosis.complete,
    )


# By hand: the words are the contract, not the names of an enumeration.
_When: TypeAlias = Literal[
    "too-few", "burst", "deployments", "periodic", "hours", "quiet", "steady", "irregular"
]
_WHEN: Final[dict[model.When, _When]] = {
    model.When.TOO_FEW: "too-few",
    model.When.BURST: "burst",
    model.When.DEPLOYS: "deployments",
    model.When.PERIODIC: "periodic",
    model.When.HOURS: "hours",
    model.When.QUIET: "quiet",
    model.When.STEADY: "steady",
    model.When.IRREGULAR: "irregular",
}
_CONFIDENCE: Final[dict[Confidence, Literal["high", "medium", "low"]]] = {
    Confidence.HIGH: "high",
    Confidence.MEDIUM: "medium",
    Confidence.LOW: "low",
}


def _cause(group: model.CauseGroup, before: int) -> v1.Cause:
    mitigation = group.mitigation
    return v1.Cause(
        cause=group.cause,
        errors=group.number,
        confidence=_CONFIDENCE[group.confidence],
        first=_time(group.first),
        last=_time(group.last),
        statuses=_counts(group.statuses),
        targets=_counts(group.targets),
        example=before + next(n for n, one in enumerate(group.sample) if one is group.example),
        meaning=group.meaning,
        cure=group.cure,
        next=list(group.next_steps),
        listed=len(group.sample),
        failures=group.failed,
        confidences=[v1.Count(_CONFIDENCE[word], number) for word, number in group.confidences],
        targets_met=group.targets_met,
        target_groups=_counts(group.groups),
        paths=_counts(group.paths),
        pattern=v1.Pattern(_WHEN[group.pattern.when], group.pattern.text, _seconds(group.pattern.period)),
        over_time=_histogram(group.minutes),
        others=[
            v1.Possibility(one.candidate.cause, one.errors, one.candidate.decide) for one in group.others
        ],
        remedies=[_remedy(one) for one in group.remedies],
        mitigation=v1.Mitigation(mitigation.command, mitigation.cost, mitigation.undo)
        if mitigation is not None
        else None,
        order=list(group.order),
        query=group.query,
    )


def _counts(words: Iterable[model.Counted]) -> list[v1.Count]:
    return [v1.Count(word, number) for word, number in words]


def _remedy(one: model.Remedy) -> v1.Remedy:
    return v1.Remedy(
        one.what, one.option, _seconds(one.value), one.now, one.origin, one.file, one.line, one.column
    )


def _histogram(minutes: model.Minutes) -> v1.Histogram:
    return v1.Histogram(60 * minutes.width, [(_minute(one.minute), one.number) for one in minutes.bins])


def _accounting(counts: model.Accounting) -> v1.Accounting:
    return v1.Accounting(
        counts.lines, counts.judged, counts.fine, counts.rejected, counts.blank, counts.continued
    )


def _timers(one: model.GroupTimers) -> v1.Timers:
    timers = one.timers
    return v1.Timers(
        target_group=one.group,
        source=one.source,
        idle_timeout_s=_seconds(timers.idle_timeout),
        keep_alive_s=_seconds(timers.keep_alive),
        deregistration_delay_s=_seconds(timers.deregistration_delay),
        stop_timeout_s=_seconds(timers.stop_timeout),
        proxy_read_s=_seconds(timers.proxy_read),
        worker_timeout_s=_seconds(timers.worker_timeout),
        server_limit_s=_seconds(timers.server_limit),
        graceful=timers.graceful,
    )


def _minute(minute: int) -> str:
    return f"{minute_of(minute).replace(' ', 'T')}:00Z"


def _error(judged: Judged) -> v1.Error:
    row = judged.row
    return v1.Error(
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
        candidates=[v1.Candidate(candidate.cause, candidate.decide) for candidate in judged.candidates],
    )


def _time(at: Instant) -> str:
    return f"{when(at, digits=6).replace(' ', 'T')}Z"


def _seconds(length: Duration | None) -> float | None:
    return length.seconds if length is not None else None
