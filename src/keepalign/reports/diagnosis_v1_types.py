"""Types of JSON v1 of `diagnose`: a contract with other programs, apart from the model.

They change only by adding. A name that ends in `_s` is in seconds; times are ISO 8601 in UTC; lines and
columns count from 1. The schema is `docs/reference/diagnose-v1.schema.json`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


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
