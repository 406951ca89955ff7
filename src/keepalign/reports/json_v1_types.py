"""Types of JSON v1 of `check`: a contract with other programs, apart from the model.

They change only by adding. Lines and columns count from 1; a name that ends in `_s` is in seconds. The schema
is `docs/reference/check-v1.schema.json`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A place in a file."""

    file: str
    line: int
    column: int


class Step(msgspec.Struct, frozen=True):
    """One place on the way of a value, in the file's own words."""

    what: str
    place: Place


class Origin(msgspec.Struct, frozen=True):
    """Where a value comes from; `via` runs from the place of use to the place where it is written."""

    kind: str
    note: str
    source: str
    via: list[Step]


class Setting(msgspec.Struct, frozen=True):
    """One timer. `value` is null unless `kind` is explicit or default."""

    role: str
    option: str
    kind: Literal["explicit", "default", "disabled", "unlimited", "unknown"]
    value: float | None
    unit: Literal["s"]
    origin: Origin
    reason: str = ""


class Join(msgspec.Struct, frozen=True):
    """Why a hop is believed to be the neighbour of the one in front of it."""

    by: str
    text: str
    place: Place | None


class Hop(msgspec.Struct, frozen=True):
    """One process on the path."""

    name: str
    product: str
    version: str
    traits: dict[str, str]
    settings: list[Setting]
    joined: list[Join]
    place: Place | None


class Endpoint(msgspec.Struct, frozen=True):
    """What was declared of requests with this prefix."""

    path: str
    longest_silence_s: float | None
    longest_request_s: float | None


class Stop(msgspec.Struct, frozen=True):
    """How one container is stopped."""

    container: str
    signal: str
    stop_timeout: Setting


class Lifecycle(msgspec.Struct, frozen=True):
    """The last minutes of a target of this path."""

    platform: str
    deregistration_delay: Setting
    stops: list[Stop]


class Path(msgspec.Struct, frozen=True):
    """One request path, client side first."""

    name: str
    route: str
    hops: list[Hop]
    endpoints: list[Endpoint]
    lifecycle: Lifecycle | None


class Symptom(msgspec.Struct, frozen=True):
    """What users see, and the hop that sends it."""

    status: str
    sent_by: str
    text: str


class Location(msgspec.Struct, frozen=True):
    """A labelled place; file, line and column are null for a value that is written nowhere."""

    file: str | None
    line: int | None
    column: int | None
    label: str


class Edit(msgspec.Struct, frozen=True):
    """One replacement: the bytes from `start` to `end` (from 0) of `file` become `text`."""

    file: str
    line: int
    column: int
    start: int
    end: int
    text: str


class Fix(msgspec.Struct, frozen=True):
    """One setting that the fix of a finding changes; no edits: nothing that keepalign may write sets it.

    `cost` is what else changes with it, empty where nothing is known; `safe` where no request that is
    answered now can fail by it.
    """

    hop: str
    option: str
    value_s: float
    why: str
    edits: list[Edit]
    cost: str = ""
    safe: bool = True


class StagedSetting(msgspec.Struct, frozen=True):
    """A setting that a stage changes, as its Fix names it."""

    hop: str
    option: str


class Stage(msgspec.Struct, frozen=True):
    """Changes that may take effect together; `why` they come before the next stage."""

    what: str
    why: str
    settings: list[StagedSetting]


class Mitigation(msgspec.Struct, frozen=True):
    """What helps without a deploy; an empty command: nothing does, and `cost` says why."""

    command: str
    cost: str
    undo: str


class Flip(msgspec.Struct, frozen=True):
    """A setting that differs from the base revision; `old` is empty where the base has no such setting."""

    hop: str
    option: str
    old: str
    new: str
    place: Place | None


class Result(msgspec.Struct, frozen=True):
    """One finding. `path` is the first of `paths`; the first of `locations` is the primary one.

    `fingerprint` stays while lines move and values change; several findings may share one. `flipped_by` is
    what made it since the base revision; empty without one.
    """

    cause: str
    title: str
    severity: Literal["high", "medium", "low", "info"]
    confidence: Literal["high", "medium", "low"]
    ladder: Literal["response", "idle", "shutdown"]
    symptom: Symptom
    arithmetic: str
    hop: str
    path: str
    paths: list[str]
    locations: list[Location]
    margin_s: float
    fix: list[Fix]
    mitigation: Mitigation | None
    fingerprint: str = ""
    flipped_by: list[Flip] = []


class Suppressed(msgspec.Struct, frozen=True):
    """A finding that a comment or a baseline holds back; `until` is the last day, null for good."""

    finding: Result
    by: Literal["comment", "baseline"]
    reason: str
    until: str | None
    place: Place | None


class Gone(msgspec.Struct, frozen=True):
    """A finding of the baseline, or of the base revision, that is found no more, `count` times. `file` is
    empty for the latter.
    """

    fingerprint: str
    cause: str
    hop: str
    file: str
    count: int


class Unjoined(msgspec.Struct, frozen=True):
    """A piece of configuration that was read and could not be placed on a path."""

    what: str
    missing: str
    place: Place | None


class Unknown(msgspec.Struct, frozen=True):
    """What could not be decided (with its cause), or not be understood in a file (cause null)."""

    cause: str | None
    path: str
    hop: str
    reason: str
    supply: str
    place: Place | None


class Summary(msgspec.Struct, frozen=True):
    """Counts. `ok` counts the places where a rule holds."""

    paths: int
    high: int
    medium: int
    low: int
    info: int
    ok: int
    unknown: int
    unjoined: int
    suppressed: int = 0


class Report(msgspec.Struct, frozen=True):
    """The whole answer of `keepalign check --format json`.

    `also` is what `keepalign fix` changes beside the fixes of the findings: without it, one cure may bring
    another cause. `fix_failed` says why findings have no fix; empty where each that wants one has it.
    `roll_out` is the order in which the fixes may take effect, empty where there is none to heed. `base` is
    the revision that was compared with, empty for none: `findings` are then those that it does not have, and
    `unchanged` counts those that it has as well.
    """

    schema: Literal[1]
    keepalign: str
    paths: list[Path]
    findings: list[Result]
    unjoined: list[Unjoined]
    unknown: list[Unknown]
    summary: Summary
    also: list[Fix]
    fix_failed: str
    suppressed: list[Suppressed] = []
    gone: list[Gone] = []
    base: str = ""
    unchanged: int = 0
    roll_out: list[Stage] = []
