"""Pages from docstrings, metadata, signs and statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalign.model.page import Page, PageKind
from keepalign.rules import CATALOGUE
from keepalign.rules._rule import Rule
from keepalign.rules.log_only import LogOnly
from keepalign.rules.pages._signs import SIGNS, Sign, no_status, signs_of
from keepalign.rules.pages._statuses import Maker, Status

CHECK: Final = "keepalign check PATH..."
DIAGNOSE: Final = "keepalign diagnose FILE..."

_LOGS: Final = "For access logs of the balancer, or `-` to paste lines:"

_LEGEND: Final = (
    "The times are those of the log line, request, target and response, in seconds; t is well above some\n"
    "milliseconds."
)

_LOG_ONLY_GROUP: Final = "In logs only"
_STATUS_GROUP: Final = "Statuses"

_BY_SLUG: Final[Mapping[str, Rule | LogOnly]] = {cause.slug: cause for cause in CATALOGUE}


def cause_page(cause: Rule | LogOnly) -> Page:
    """The page of one cause: its docstring, then how to find, reproduce and recognise it."""
    body = cause.page.partition("\n")[2].strip()
    signs = signs_of(cause.slug)
    module = cause.slug.replace("-", "_")
    if isinstance(cause, LogOnly):
        text = f"{_LOGS}\n\n{_code(DIAGNOSE)}"
        if cause.next_command:
            text += "\n\nWhat it may not decide, this can:\n\n" + _code(cause.next_command)
        return Page(
            name=cause.slug,
            kind=PageKind.LOG_CAUSE,
            title=cause.title,
            body=f"{body}\n\n## Find it\n\n{text}\n",
            facts=(
                ("found by", "the access log alone: there is no static check"),
                ("statuses", _statuses(signs)),
                ("since", cause.since),
                ("shown by", f"nothing: {cause.no_scenario}"),
            ),
            group=_LOG_ONLY_GROUP,
            severity=None,
            statuses=_codes(signs),
            commands=tuple(filter(None, (DIAGNOSE, cause.next_command))),
            source=f"src/keepalign/rules/log_only/{module}.py",
        )
    reproduce = f"keepalign lab run {cause.slug}" if cause.scenario else ""
    how = _code(reproduce) if reproduce else f"Nothing does: {cause.no_scenario}."
    return Page(
        name=cause.slug,
        kind=PageKind.CAUSE,
        title=cause.title,
        body=(
            f"{body}\n\n## In the logs\n\n{_in_the_logs(cause.slug, signs)}\n\n"
            f"## Find it\n\n{_code(CHECK)}\n\n## Reproduce it\n\n{how}\n"
        ),
        facts=(
            ("severity", cause.severity.word),
            ("ladder", cause.ladder.value),
            ("reads", ", ".join(f"`{role.value}`" for role in cause.roles)),
            ("statuses", _statuses(signs)),
            ("since", cause.since),
            ("shown by", f"`{cause.scenario}`" if cause.scenario else f"nothing: {cause.no_scenario}"),
        ),
        group=f"{cause.ladder.value.capitalize()} ladder",
        severity=cause.severity,
        statuses=_codes(signs),
        commands=tuple(filter(None, (CHECK, reproduce))),
        source=f"src/keepalign/rules/{module}.py",
    )


def status_page(status: Status) -> Page:
    """The page of one status: who made it, the causes that show as it, and how to tell them apart."""
    parts = [f"## What it means\n\n{status.means.strip()}"]
    signs = [sign for sign in SIGNS if sign.status == status.code]
    if status.maker is Maker.EITHER:
        parts.append(f"## Who made it\n\n{_who(status)}")
    if signs:
        parts.append(f"## Causes\n\n{_by_shape(signs)}")
    if status.reasons:
        title = "Other documented reasons" if signs else "Documented reasons"
        parts.append(f"## {title}\n\n" + "\n".join(f"- {reason}" for reason in status.reasons))
    if signs:
        parts.append(f"## Next\n\n{_LOGS}\n\n{_code(DIAGNOSE)}")
    parts.append("## Sources\n\n" + "\n".join(f"- {source}" for source in status.sources))
    return Page(
        name=status.code,
        kind=PageKind.STATUS,
        title=f"{status.name}: {status.says}",
        body="\n\n".join(parts) + "\n",
        facts=(("made by", status.maker.value),),
        group=_STATUS_GROUP,
        severity=None,
        statuses=status.also or (status.code,),
        commands=(DIAGNOSE,) if signs else (),
        source="src/keepalign/rules/pages/_statuses.py",
    )


def _in_the_logs(slug: str, signs: tuple[Sign, ...]) -> str:
    if not signs:
        why = no_status(slug)
        return f"{why[0].upper()}{why[1:]}."
    rows = (f"| {s.status} | {s.target_status} | {_times(s)} | {s.tell} |" for s in signs)
    return "\n".join(
        (
            _LEGEND,
            "",
            "| status | target's | times | how to tell it |",
            "| --- | --- | --- | --- |",
            *rows,
        )
    )


def _who(status: Status) -> str:
    return (
        "| `elb_status_code` | `target_status_code` | made by |\n| --- | --- | --- |\n"
        f"| {status.code} | `-` | the balancer; CloudWatch counts `HTTPCode_ELB_{status.code[0]}XX_Count` |\n"
        f"| {status.code} | {status.code} | the target, and the balancer passed it on;"
        f" `HTTPCode_Target_{status.code[0]}XX_Count` |"
    )


def _by_shape(signs: list[Sign]) -> str:
    """The causes under what a line shows first: its three times, and who made the answer."""
    shapes: dict[str, list[str]] = {}
    for sign in signs:
        shape = f"By {'the target' if sign.target_status != '-' else 'the balancer'}"
        if sign.times:
            shape += f", times {_times(sign)}"
        link = f"[{sign.cause}](../causes/{sign.cause}.md)"
        shapes.setdefault(shape, []).append(f"- {link}: {sign.tell}. Next: `{_next(_BY_SLUG[sign.cause])}`")
    legend = f"{_LEGEND}\n\n" if any(sign.times for sign in signs) else ""
    return legend + "\n\n".join(f"{shape}:\n\n" + "\n".join(items) for shape, items in shapes.items())


def _next(cause: Rule | LogOnly) -> str:
    """What to run when a line points to `cause`."""
    if isinstance(cause, Rule):
        return CHECK
    return cause.next_command or f"keepalign explain {cause.slug}"


def _times(sign: Sign) -> str:
    return f"`{sign.times}`" if sign.times else ""


def _codes(signs: tuple[Sign, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sign.status for sign in signs))


def _statuses(signs: tuple[Sign, ...]) -> str:
    return ", ".join(_codes(signs)) or "none of its own"


def _code(command: str) -> str:
    return f"    {command}"
