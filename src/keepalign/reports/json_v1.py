"""JSON v1 of `check`: a contract with other programs, apart from the model. It changes only by adding.

Lines and columns count from 1; a name that ends in `_s` is in seconds. The schema is
`docs/reference/check-v1.schema.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

import keepalign
from keepalign.model import setting as kinds
from keepalign.model.checked import Change, CheckResult
from keepalign.model.checked import Stage as ModelStage
from keepalign.model.finding import Finding, Severity
from keepalign.model.finding import Location as ModelLocation
from keepalign.model.gated import Flip as ModelFlip
from keepalign.model.gated import Gate, HeldBy
from keepalign.model.path import Hop as ModelHop
from keepalign.model.path import RequestPath, Stack
from keepalign.model.source import Origin as ModelOrigin
from keepalign.model.source import Span
from keepalign.model.workload import Endpoint as ModelEndpoint
from keepalign.readers._reader import Note

VERSION: Final = 1


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


def render(
    stack: Stack,
    result: CheckResult,
    changes: Sequence[Change] = (),
    notes: Iterable[Note] = (),
    *,
    fix_failed: str = "",
    stages: Iterable[ModelStage] = (),
    gate: Gate | None = None,
) -> bytes:
    """The report in UTF-8, two spaces of indent, a line end at the end."""
    made = report(stack, result, changes, notes, fix_failed=fix_failed, stages=stages, gate=gate)
    data = msgspec.json.encode(made)
    return msgspec.json.format(data, indent=2) + b"\n"


def schema() -> bytes:
    """JSON Schema of Report, in the form of render()."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=2) + b"\n"


def report(
    stack: Stack,
    result: CheckResult,
    changes: Sequence[Change] = (),
    notes: Iterable[Note] = (),
    *,
    fix_failed: str = "",
    stages: Iterable[ModelStage] = (),
    gate: Gate | None = None,
) -> Report:
    """The report as structs. `changes` are those of a fix; each stands under the findings it cures, else in
    `also`.
    """
    gate = gate or Gate()
    unknown = [
        Unknown(u.cause, u.path, u.hop, u.reason, u.supply, _place(u.span)) for u in result.undecided
    ] + [Unknown(None, "", "", note.text, "", _place(note.span)) for note in notes]
    by_severity = {s: sum(f.severity is s for f in result.findings) for s in Severity}
    return Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        paths=[_path(p) for p in stack.paths],
        findings=[_finding(f, result, changes, gate) for f in result.findings],
        unjoined=[Unjoined(u.what, u.missing, _place(u.place)) for u in stack.unjoined],
        unknown=unknown,
        summary=Summary(
            paths=len(stack.paths),
            high=by_severity[Severity.HIGH],
            medium=by_severity[Severity.MEDIUM],
            low=by_severity[Severity.LOW],
            info=by_severity[Severity.INFO],
            ok=len(result.ok),
            unknown=len(unknown),
            unjoined=len(stack.unjoined),
            suppressed=len(gate.suppressed),
        ),
        also=[_fix(change) for change in result.beside(changes)],
        fix_failed=fix_failed,
        suppressed=[
            Suppressed(
                _finding(held.finding, result, changes, gate),
                _HELD_BY[held.by],
                held.reason,
                held.until.isoformat() if held.until is not None else None,
                _place(held.place),
            )
            for held in gate.suppressed
        ],
        gone=[Gone(g.fingerprint, g.cause, g.hop, g.file, g.count) for g in gate.gone],
        base=gate.base,
        unchanged=gate.unchanged,
        roll_out=[
            Stage(one.what, one.why, [StagedSetting(c.hop, c.setting.option) for c in one.changes])
            for one in stages
        ],
    )


def _place(span: Span | None) -> Place | None:
    return Place(span.file, span.line, span.column) if span else None


def _origin(origin: ModelOrigin) -> Origin:
    via = [Step(s.span.name or s.what, Place(s.span.file, s.span.line, s.span.column)) for s in origin.steps]
    return Origin(origin.kind.value, origin.note, origin.source, via)


def _setting(role: str, setting: kinds.Setting) -> Setting:
    kind: Literal["explicit", "default", "disabled", "unlimited", "unknown"]
    match setting:
        case kinds.Explicit():
            kind = "explicit"
        case kinds.Default():
            kind = "default"
        case kinds.Disabled():
            kind = "disabled"
        case kinds.Unlimited():
            kind = "unlimited"
        case kinds.Unknown():
            kind = "unknown"
    value = kinds.value_of(setting)
    return Setting(
        role=role,
        option=setting.option,
        kind=kind,
        value=value.seconds if value is not None else None,
        unit="s",
        origin=_origin(setting.origin),
        reason=setting.reason if isinstance(setting, kinds.Unknown) else "",
    )


def _hop(hop: ModelHop) -> Hop:
    return Hop(
        name=hop.name,
        product=hop.product.value,
        version=hop.version,
        traits=dict(hop.traits),
        settings=[_setting(role.value, s) for role, s in hop.settings.items()],
        joined=[Join(j.by.value, j.text, _place(j.span)) for j in hop.joined],
        place=_place(hop.place),
    )


def _endpoint(endpoint: ModelEndpoint) -> Endpoint:
    silence, request = endpoint.longest_silence, endpoint.longest_request
    return Endpoint(
        endpoint.path,
        silence.seconds if silence is not None else None,
        request.seconds if request is not None else None,
    )


def _path(path: RequestPath) -> Path:
    life = path.lifecycle
    return Path(
        name=path.name,
        route=path.route,
        hops=[_hop(h) for h in path.hops],
        endpoints=[_endpoint(e) for e in path.endpoints],
        lifecycle=Lifecycle(
            platform=life.platform,
            deregistration_delay=_setting("deregistration_delay", life.deregistration_delay),
            stops=[Stop(s.container, s.signal, _setting("stop_timeout", s.stop_timeout)) for s in life.stops],
        )
        if life
        else None,
    )


def _location(location: ModelLocation) -> Location:
    span = location.span
    if span is None:
        return Location(None, None, None, location.label)
    label = f"{location.label} ({span.name})" if span.name else location.label
    return Location(span.file, span.line, span.column, label)


_SEVERITY: Final[dict[Severity, Literal["high", "medium", "low", "info"]]] = {
    Severity.HIGH: "high",
    Severity.MEDIUM: "medium",
    Severity.LOW: "low",
    Severity.INFO: "info",
}


_HELD_BY: Final[dict[HeldBy, Literal["comment", "baseline"]]] = {
    HeldBy.COMMENT: "comment",
    HeldBy.BASELINE: "baseline",
}


def _finding(finding: Finding, result: CheckResult, changes: Iterable[Change], gate: Gate) -> Result:
    cure = [change for change in changes if change.cures(finding)]
    mitigation = finding.mitigation
    return Result(
        cause=finding.cause,
        title=finding.title,
        severity=_SEVERITY[finding.severity],
        confidence=finding.confidence.value,
        ladder=finding.ladder.value,
        symptom=Symptom(finding.symptom.status, finding.symptom.sent_by, finding.symptom.text),
        arithmetic=finding.arithmetic,
        hop=finding.hop,
        path=finding.path,
        paths=list(result.paths_of(finding)),
        locations=[_location(where) for where in finding.locations],
        margin_s=finding.margin.seconds,
        fix=[_fix(change) for change in cure],
        mitigation=Mitigation(mitigation.command, mitigation.cost, mitigation.undo) if mitigation else None,
        fingerprint=gate.fingerprints.get(finding, ""),
        flipped_by=[_flip(flip) for flip in gate.flips.get(finding, ())],
    )


def _flip(flip: ModelFlip) -> Flip:
    return Flip(flip.hop, flip.option, flip.old, flip.new, _place(flip.place))


def _fix(change: Change) -> Fix:
    edits = [
        Edit(e.span.file, e.span.line, e.span.column, e.span.start, e.span.end, e.text) for e in change.edits
    ]
    return Fix(
        change.hop, change.setting.option, change.value.seconds, change.why, edits, change.cost, change.safe
    )
