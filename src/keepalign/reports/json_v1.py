"""JSON v1 of `check`: what was found, in the types of `json_v1_types`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import keepalign
from keepalign.model import setting as kinds
from keepalign.model.checked import Change, CheckResult, Stage
from keepalign.model.finding import Finding, Location, Severity
from keepalign.model.gated import Flip, Gate, HeldBy
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.source import Origin, Span
from keepalign.model.workload import Endpoint
from keepalign.readers._reader import Note
from keepalign.reports import _json
from keepalign.reports import json_v1_types as v1

VERSION: Final = 1


def render(
    stack: Stack,
    result: CheckResult,
    changes: Sequence[Change] = (),
    notes: Iterable[Note] = (),
    *,
    fix_failed: str = "",
    stages: Iterable[Stage] = (),
    gate: Gate | None = None,
) -> bytes:
    """The report in UTF-8, two spaces of indent, a line end at the end."""
    made = report(stack, result, changes, notes, fix_failed=fix_failed, stages=stages, gate=gate)
    return _json.written(made)


def schema() -> bytes:
    """JSON Schema of the report, in the form of render()."""
    return _json.schema_of(v1.Report)


def report(
    stack: Stack,
    result: CheckResult,
    changes: Sequence[Change] = (),
    notes: Iterable[Note] = (),
    *,
    fix_failed: str = "",
    stages: Iterable[Stage] = (),
    gate: Gate | None = None,
) -> v1.Report:
    """The report as structs. `changes` are those of a fix; each stands under the findings it cures, else in
    `also`.
    """
    gate = gate or Gate()
    unknown = [
        v1.Unknown(u.cause, u.path, u.hop, u.reason, u.supply, _place(u.span)) for u in result.undecided
    ] + [v1.Unknown(None, "", "", note.text, "", _place(note.span)) for note in notes]
    by_severity = {s: sum(f.severity is s for f in result.findings) for s in Severity}
    return v1.Report(
        schema=VERSION,
        keepalign=keepalign.__version__,
        paths=[_path(p) for p in stack.paths],
        findings=[_finding(f, result, changes, gate) for f in result.findings],
        unjoined=[v1.Unjoined(u.what, u.missing, _place(u.place)) for u in stack.unjoined],
        unknown=unknown,
        summary=v1.Summary(
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
            v1.Suppressed(
                _finding(held.finding, result, changes, gate),
                _HELD_BY[held.by],
                held.reason,
                held.until.isoformat() if held.until is not None else None,
                _place(held.place),
            )
            for held in gate.suppressed
        ],
        gone=[v1.Gone(g.fingerprint, g.cause, g.hop, g.file, g.count) for g in gate.gone],
        base=gate.base,
        unchanged=gate.unchanged,
        roll_out=[
            v1.Stage(one.what, one.why, [v1.StagedSetting(c.hop, c.setting.option) for c in one.changes])
            for one in stages
        ],
    )


def _place(span: Span | None) -> v1.Place | None:
    return v1.Place(span.file, span.line, span.column) if span else None


def _origin(origin: Origin) -> v1.Origin:
    via = [
        v1.Step(s.span.name or s.what, v1.Place(s.span.file, s.span.line, s.span.column))
        for s in origin.steps
    ]
    return v1.Origin(origin.kind.value, origin.note, origin.source, via)


def _setting(role: str, setting: kinds.Setting) -> v1.Setting:
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
    return v1.Setting(
        role=role,
        option=setting.option,
        kind=kind,
        value=value.seconds if value is not None else None,
        unit="s",
        origin=_origin(setting.origin),
        reason=setting.reason if isinstance(setting, kinds.Unknown) else "",
    )


def _hop(hop: Hop) -> v1.Hop:
    return v1.Hop(
        name=hop.name,
        product=hop.product.value,
        version=hop.version,
        traits=dict(hop.traits),
        settings=[_setting(role.value, s) for role, s in hop.settings.items()],
        joined=[v1.Join(j.by.value, j.text, _place(j.span)) for j in hop.joined],
        place=_place(hop.place),
    )


def _endpoint(endpoint: Endpoint) -> v1.Endpoint:
    silence, request = endpoint.longest_silence, endpoint.longest_request
    return v1.Endpoint(
        endpoint.path,
        silence.seconds if silence is not None else None,
        request.seconds if request is not None else None,
    )


def _path(path: RequestPath) -> v1.Path:
    life = path.lifecycle
    return v1.Path(
        name=path.name,
        route=path.route,
        hops=[_hop(h) for h in path.hops],
        endpoints=[_endpoint(e) for e in path.endpoints],
        lifecycle=v1.Lifecycle(
            platform=life.platform,
            deregistration_delay=_setting("deregistration_delay", life.deregistration_delay),
            stops=[
                v1.Stop(s.container, s.signal, _setting("stop_timeout", s.stop_timeout)) for s in life.stops
            ],
        )
        if life
        else None,
    )


def _location(location: Location) -> v1.Location:
    span = location.span
    if span is None:
        return v1.Location(None, None, None, location.label)
    label = f"{location.label} ({span.name})" if span.name else location.label
    return v1.Location(span.file, span.line, span.column, label)


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


def _finding(finding: Finding, result: CheckResult, changes: Iterable[Change], gate: Gate) -> v1.Result:
    cure = [change for change in changes if change.cures(finding)]
    mitigation = finding.mitigation
    return v1.Result(
        cause=finding.cause,
        title=finding.title,
        severity=_SEVERITY[finding.severity],
        confidence=finding.confidence.value,
        ladder=finding.ladder.value,
        symptom=v1.Symptom(finding.symptom.status, finding.symptom.sent_by, finding.symptom.text),
        arithmetic=finding.arithmetic,
        hop=finding.hop,
        path=finding.path,
        paths=list(result.paths_of(finding)),
        locations=[_location(where) for where in finding.locations],
        margin_s=finding.margin.seconds,
        fix=[_fix(change) for change in cure],
        mitigation=v1.Mitigation(mitigation.command, mitigation.cost, mitigation.undo)
        if mitigation
        else None,
        fingerprint=gate.fingerprints.get(finding, ""),
        flipped_by=[_flip(flip) for flip in gate.flips.get(finding, ())],
    )


def _flip(flip: Flip) -> v1.Flip:
    return v1.Flip(flip.hop, flip.option, flip.old, flip.new, _place(flip.place))


def _fix(change: Change) -> v1.Fix:
    edits = [
        v1.Edit(e.span.file, e.span.line, e.span.column, e.span.start, e.span.end, e.text)
        for e in change.edits
    ]
    return v1.Fix(
        change.hop, change.setting.option, change.value.seconds, change.why, edits, change.cost, change.safe
    )
