"""What to do about a cause: the setting, the safe order of the change, the next commands, a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from keepalign.logs import causes
from keepalign.logs._classic import is_classic
from keepalign.logs.causes import CAUSES
from keepalign.logs.context.endings import QUICK_MOST
from keepalign.logs.known import Advice, Configured, Known
from keepalign.logs.mitigations import DELAY_MOST, GROUP_ARN, IDLE_DEFAULT, Names, mitigation_of, named
from keepalign.model.diagnosis import CauseGroup, Remedy, TargetLife
from keepalign.model.finding import Mitigation
from keepalign.model.observation import Timers
from keepalign.rules.margins import margin_over, nice
from keepalign.units import Duration, Instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SECOND: Final = Duration.of(s=1)

_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    causes.KEEP_ALIVE: (
        "Raise the targets' keep-alive timeout and deploy them; wait until the last old target is gone.",
        "Only then may the balancer's idle timeout grow: a longer one makes more of these errors before.",
    ),
    causes.LB_IDLE: (
        "Raise the targets' keep-alive timeout above the new idle timeout and deploy them, to the last one.",
        "Then raise the balancer's idle timeout; it holds at once.",
    ),
    causes.DRAIN: (
        "Raise the target group's deregistration delay; it holds for targets that are deregistered after it.",
        "Then raise the stop timeout with the next deployment; its old targets still stop under the old one.",
    ),
    causes.PROXY_READ: (
        "Raise the proxy's limit and the targets' keep-alive timeout; deploy them, to the last one.",
        "Then raise the balancer's idle timeout above the proxy's limit, where it is below.",
    ),
}


def advised(
    group: CauseGroup, known: Known, *, balancer: str, longest: Duration | None, lives: Sequence[TargetLife]
) -> CauseGroup:
    """`group` with its words and what to do.

    Args:
        balancer: the name in the log of the balancer with most of its errors.
        longest: that a target had one of its requests.
        lives: of the targets in the whole log.
    """
    arns = [one.word for one in group.groups]
    timers = known.of(arns)
    configured = known.configured.advice(group.cause, arns) if known.configured is not None else Advice()
    doubt = known.configured.doubt(arns) if known.configured is not None else ""
    cause = CAUSES[group.cause]
    names = Names.of(arns, balancer)
    # `aws elbv2` and the ALB's table know no Classic Load Balancer.
    classic = is_classic(group.example.row)
    if configured.mitigation is not None:
        mitigation: Mitigation | None = named(configured.mitigation, names, stranger=bool(doubt))
    else:
        mitigation = mitigation_of(group, timers, longest, names, lives)
    return replace(
        group,
        meaning=_filled(cause.meaning, timers),
        cure=_filled(cause.cure, timers),
        remedies=_doubted(configured.remedies, doubt)
        or _remedies(group.cause, timers, longest)
        or _seen_limit(group.cause, group.example.row.target_time),
        mitigation=mitigation if not classic else None,
        order=configured.order or _ORDER.get(group.cause, ()),
        next_steps=_next_steps(group.cause, timers, names, known.configured, classic=classic),
        query="" if classic else _query(group, arns),
    )


def _doubted(remedies: tuple[Remedy, ...], doubt: str) -> tuple[Remedy, ...]:
    return tuple(replace(one, what=f"{one.what}, {doubt}") for one in remedies) if doubt else remedies


def _filled(text: str, timers: Timers) -> str:
    idle, delay = timers.idle_timeout, timers.deregistration_delay
    told = text.replace("{idle}", f"idle timeout of {idle}" if idle is not None else "idle timeout")
    return told.replace(
        "{delay}", f"deregistration delay of {delay}" if delay is not None else "deregistration delay"
    )


def _remedies(slug: str, timers: Timers, longest: Duration | None) -> tuple[Remedy, ...]:
    """What is known of the setting without its file."""
    idle, delay = timers.idle_timeout, timers.deregistration_delay
    if slug in (causes.KEEP_ALIVE, causes.MARGIN_THIN) and idle is not None:
        value = nice(idle + margin_over(idle))
        now = f" (now {timers.keep_alive})" if timers.keep_alive is not None else ""
        what = f"raise the targets' keep-alive timeout above {idle}, to {value}{now}"
        return (Remedy(what, "", value, str(timers.keep_alive or "")),)
    if slug in (causes.KEEP_ALIVE, causes.MARGIN_THIN):
        value = nice(IDLE_DEFAULT + margin_over(IDLE_DEFAULT))
        what = (
            "raise the targets' keep-alive timeout above the balancer's idle timeout, to"
            f" {value} where that is the default of {IDLE_DEFAULT}"
        )
        return (Remedy(what, "", None, str(timers.keep_alive or "")),)
    if slug == causes.LB_IDLE and idle is not None:
        what = (
            f"raise the balancer's idle_timeout (now {idle}) above the application's longest silence, and the"
            " targets' keep-alive timeout before it"
        )
        return (Remedy(what, "idle_timeout", None, str(idle)),)
    if slug == causes.DRAIN and longest is not None:
        value = min(nice(longest + margin_over(longest)), DELAY_MOST)
        now = f" (now {delay})" if delay is not None else ""
        # How long it would have run, nobody knows.
        what = (
            f"raise the target group's deregistration_delay above the longest request, to {value} at"
            f" least{now}: one that was cut had run {longest}"
        )
        return (Remedy(what, "deregistration_delay", value, str(delay or "")),)
    return ()


def _seen_limit(slug: str, wait: Duration | None) -> tuple[Remedy, ...]:
    """A timer of the target that nobody stated, with the value that its errors show."""
    if wait is None or wait < _SECOND:
        return ()
    match slug:
        case causes.PROXY_READ:
            what = "the proxy's limit (nginx proxy_read_timeout, Apache ProxyTimeout or Timeout"
            over, early = "the application's longest silence", _SECOND.us // 2
        case causes.APP_IDLE:
            what = "the server's own limit (Node requestTimeout or a socket timeout, Go WriteTimeout"
            over, early = "the longest request", _SECOND.us // 2
        case causes.WORKER:
            # It strikes up to 1.2 s late, hardly ever early.
            what, over, early = "the worker's limit (gunicorn timeout", "the longest request", 20_000
        case _:
            return ()
    seen = str(Duration((wait.us + early) // _SECOND.us * _SECOND.us))
    return (Remedy(f"raise {what}; {seen}, as the errors show) above {over}", "", None, seen),)


def _next_steps(
    slug: str, timers: Timers, names: Names, configured: Configured | None, *, classic: bool
) -> tuple[str, ...]:
    steps = [f"keepalign explain {slug}"]
    if CAUSES[slug].in_check:
        idle = timers.idle_timeout
        in_front = (
            f" --in-front aws-alb:idle_timeout={str(idle).replace(' ', '')}" if idle is not None else ""
        )
        if configured is not None:
            steps += [f"keepalign fix {configured.source}", f"keepalign prove {configured.source}"]
        else:
            steps.append(f"keepalign check PATH{in_front}")
    elif slug in (causes.NO_TARGETS, causes.REFUSED, causes.CONNECT_TIMEOUT) and not classic:
        steps.append(f"aws elbv2 describe-target-health --target-group-arn {names.group}{names.region}")
    return tuple(steps)


_CLOSED: Final = "elb_status_code = 502 AND target_status_code = '-'\n  AND target_processing_time"
_QUICK: Final = f"{_CLOSED} BETWEEN 0 AND {QUICK_MOST.seconds:g}"
"""As the judge has it: what takes longer had been worked on."""
_CUT: Final = f"{_CLOSED} > {QUICK_MOST.seconds:g}"
_SILENT: Final = "elb_status_code = 504 AND target_status_code = '-'\n  AND request_processing_time >= 0"
_UNREACHED: Final = "request_processing_time = -1 AND target_processing_time = -1\n  AND target_ip <> '-'"
_ITS_OWN: Final = "elb_status_code >= 500\n  AND target_status_code = CAST(elb_status_code AS varchar)"
_SIGNATURES: Final[Mapping[str, str]] = {
    causes.KEEP_ALIVE: _QUICK,
    causes.MARGIN_THIN: _QUICK,
    causes.LB_IDLE: _SILENT,
    causes.SYNC_WORKER: _SILENT,
    causes.HELD_WORKERS: _SILENT,
    causes.CONNECT_TIMEOUT: f"elb_status_code = 504\n  AND {_UNREACHED}",
    causes.REFUSED: f"elb_status_code = 502\n  AND {_UNREACHED}",
    causes.TLS: f"elb_status_code = 502\n  AND {_UNREACHED}",
    causes.NO_PRESTOP: f"elb_status_code IN (502, 504)\n  AND {_UNREACHED}",
    causes.CLOSED: _CUT,
    causes.DRAIN: _CUT,
    causes.STOP: _CUT,
    causes.NO_GRACE: _CUT,
    causes.GENERATED: _ITS_OWN,
    causes.PROXY_READ: f"{_ITS_OWN}\n  AND target_processing_time >= 1",
    causes.WORKER: "elb_status_code IN (500, 502) AND target_processing_time >= 1",
    causes.APP_IDLE: "elb_status_code IN (500, 502) AND target_processing_time >= 1",
    causes.PROXY_IDLE: "elb_status_code = 502 AND target_status_code = '502'\n"
    "  AND target_processing_time BETWEEN 0 AND 0.1",
    causes.MALFORMED: f"{_CLOSED} >= 0",
    causes.LAMBDA: "elb_status_code IN (502, 504) AND lambda_error_reason <> '-'",
    causes.LB_REFUSED: "elb_status_code >= 400 AND target_status_code = '-'",
    causes.NO_TARGETS: "elb_status_code = 503 AND target_ip = '-'",
    causes.CLIENT: "elb_status_code = 460",
    causes.CLIENT_SLOW: "elb_status_code = 408",
}
"""In the columns of the ALB guide's table ("Query Application Load Balancer logs", Amazon Athena guide)."""


def _query(group: CauseGroup, arns: Sequence[str]) -> str:
    """Which targets have how many of them; over the whole log, whatever this run was given of it."""
    signature = _SIGNATURES.get(group.cause)
    if signature is None:
        return ""
    days = " AND ".join(f"'{_day(at)}'" for at in (group.first, group.last))
    of = (
        f"\n  AND target_group_arn =\n  '{arns[0]}'"
        if len(arns) == 1 and GROUP_ARN.fullmatch(arns[0])
        else ""
    )
    return (
        "SELECT target_ip, substr(time, 1, 13) AS hour, count(*) AS errors\n"
        f"FROM alb_access_logs WHERE day BETWEEN {days}\n  AND {signature}{of}\n"
        "GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 50"
    )


def _day(at: Instant) -> str:
    return (_EPOCH + timedelta(microseconds=at.us)).strftime("%Y/%m/%d")
