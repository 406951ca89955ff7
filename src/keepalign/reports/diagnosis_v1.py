"""JSON v1 of `diagnose`: a contract with other programs, apart from the model. It changes only by adding.

A name that ends in `_s` is in seconds; times are ISO 8601 in UTC; lines and columns count from 1. The schema
is `docs/reference/diagnose-v1.schema.json`.
"""

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
from keepalign.reports.diagnosis import minute_of, when
from keepalign.units import Duration, Instant

VERSION: Final = 1
_NOT_ASCII: Final = re.compile(r"[^\n -~]")


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


class Pattern(msgspec.Struct, frozen=True):
    """How errors lie in time, with its numbers in `text`. `period_s`: null unless periodic."""

    when: Literal["too-few", "burst", "deployments", "periodic", "hours", "quiet", "steady", "irregular"]
    text: str
    period_s: float | None


class Remedy(msgspec.Struct, frozen=True):
    """A setting to change, in words; null, or empty, is what is not known.

    `option`: the vendor's name. `value_s`: what it should be at least. `now` and `origin`: what it is, and
    where that comes from. `file`, `line`, `column`: where it is written.
    """

    what: str
    option: str
    value_s: float | None
    now: str
    origin: str
    file: str
    line: int | None
    column: int | None


class Mitigation(msgspec.Struct, frozen=True):
    """What helps without a deploy: a command (empty: none does, and `cost` says why), its cost, its undo."""

    command: str
    cost: str
    undo: str


class Possibility(msgspec.Struct, frozen=True):
    """Another cause that remains possible for so many of the errors, and what would decide for one."""

    cause: str
    errors: int
    decide: str


class Histogram(msgspec.Struct, frozen=True):
    """Numbers over time. `width_s`: of a bin. `bins`: [begin in UTC, number], without those of nothing."""

    width_s: int
    bins: list[tuple[str, int]]


class Cause(msgspec.Struct, frozen=True):
    """All errors of one cause.

    `example` is the place in `errors` of the one that shows it best, from 0. `listed`: how many of the errors
    stand in `errors`; `--rows` writes all. `targets`, `target_groups` and `paths` are the most frequent ones,
    of `targets_met` targets; paths have {id} for what looks like an identifier. `query`: SQL that confirms
    it over the log in Athena; empty where none would.
    """

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
    listed: int
    failures: int
    confidences: list[Count]
    targets_met: int
    target_groups: list[Count]
    paths: list[Count]
    pattern: Pattern
    over_time: Histogram
    others: list[Possibility]
    remedies: list[Remedy]
    mitigation: Mitigation | None
    order: list[str]
    query: str


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


class File(msgspec.Struct, frozen=True):
    """One object: where its lines went. `kind`: what it holds; of one that was `skipped`, why.

    `beside`: it is no access log, but evidence; its lines are not among those of the whole.
    """

    name: str
    kind: str
    bytes: int
    skipped: bool
    cached: bool
    beside: bool
    accounting: Accounting


class Target(msgspec.Struct, frozen=True):
    """One target as the log shows it; the minutes that it was first and last seen in."""

    target: str
    first: str
    last: str
    requests: int
    errors: int


class Deployment(msgspec.Struct, frozen=True):
    """Targets were replaced, from `at` to `until`. `known`: not just inferred from the log."""

    at: str
    until: str
    removed: int
    source: str
    known: bool


class Timers(msgspec.Struct, frozen=True):
    """Timers of a target group (name or ARN; empty: of all others), and where they are known from."""

    target_group: str
    source: str
    idle_timeout_s: float | None
    keep_alive_s: float | None
    deregistration_delay_s: float | None
    stop_timeout_s: float | None
    proxy_read_s: float | None
    worker_timeout_s: float | None
    server_limit_s: float | None
    graceful: bool | None


class Partial(msgspec.Struct, frozen=True):
    """The run was interrupted: so many stored bytes of all were read; null where that is not known."""

    read_bytes: int | None
    all_bytes: int | None


class Report(msgspec.Struct, frozen=True):
    """The whole answer of `keepalign diagnose --format json`.

    `errors` stand by cause, then by time: all of a cause, or a sample where they are many. `targets`: those
    with most errors first. `partial`: null unless the run was interrupted. `complete`: the log held every
    request; false for lines that somebody picked.
    """

    schema: Literal[1]
    keepalign: str
    verdict: str
    causes: list[Cause]
    errors: list[Error]
    rejected: list[Rejected]
    notes: list[str]
    accounting: Accounting
    requests: Histogram
    files: list[File]
    targets: list[Target]
    deployments: list[Deployment]
    timers: list[Timers]
    partial: Partial | None
    complete: bool


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
    """JSON Schema of Report, in the form of render()."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=2) + b"\n"


def report(diagnosis: model.Diagnosis) -> Report:
    """The report as structs."""
    causes: list[Cause] = []
    errors: list[Error] = []
    for group in diagnosis.groups:
        causes.append(_cause(group, len(errors)))
        errors += [_error(one) for one in group.sample]
    partial = diagnosis.partial
    return Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        verdict=diagnosis.verdict,
        causes=causes,
        errors=errors,
        rejected=[Rejected(r.file, r.line, r.column, r.reason, r.text) for r in diagnosis.rejected],
        notes=list(diagnosis.notes),
        accounting=_accounting(diagnosis.accounting),
        requests=_histogram(diagnosis.requests),
        files=[
            File(
                one.name, one.kind, one.size, one.skipped, one.cached, one.beside, _accounting(one.accounting)
            )
            for one in diagnosis.files
        ],
        targets=[
            Target(one.target, _minute(one.first), _minute(one.last), one.requests, one.errors)
            for one in diagnosis.lives
        ],
        deployments=[
            Deployment(_time(one.at), _time(one.until), one.removed, one.source, one.known)
            for one in diagnosis.deployments
        ],
        timers=[_timers(one) for one in diagnosis.timers],
        partial=Partial(partial.read, partial.all) if partial is not None else None,
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


def _cause(group: model.CauseGroup, before: int) -> Cause:
    mitigation = group.mitigation
    return Cause(
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
        confidences=[Count(_CONFIDENCE[word], number) for word, number in group.confidences],
        targets_met=group.targets_met,
        target_groups=_counts(group.groups),
        paths=_counts(group.paths),
        pattern=Pattern(_WHEN[group.pattern.when], group.pattern.text, _seconds(group.pattern.period)),
        over_time=_histogram(group.minutes),
        others=[Possibility(one.candidate.cause, one.errors, one.candidate.decide) for one in group.others],
        remedies=[_remedy(one) for one in group.remedies],
        mitigation=Mitigation(mitigation.command, mitigation.cost, mitigation.undo)
        if mitigation is not None
        else None,
        order=list(group.order),
        query=group.query,
    )


def _counts(words: Iterable[model.Counted]) -> list[Count]:
    return [Count(word, number) for word, number in words]


def _remedy(one: model.Remedy) -> Remedy:
    return Remedy(
        one.what, one.option, _seconds(one.value), one.now, one.origin, one.file, one.line, one.column
    )


def _histogram(minutes: model.Minutes) -> Histogram:
    return Histogram(60 * minutes.width, [(_minute(one.minute), one.number) for one in minutes.bins])


def _accounting(counts: model.Accounting) -> Accounting:
    return Accounting(
        counts.lines, counts.judged, counts.fine, counts.rejected, counts.blank, counts.continued
    )


def _timers(one: model.GroupTimers) -> Timers:
    timers = one.timers
    return Timers(
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


def _error(judged: Judged) -> Error:
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
