"""Listener rules: their conditions, and what of them leaves open which requests they take."""

from __future__ import annotations

from typing import Final

from keepalign.model.source import Span
from keepalign.readers._aws import ListenerRule
from keepalign.readers._reader import Note
from keepalign.readers.cloudformation.properties import Properties
from keepalign.readers.cloudformation.values import choices, reason_of, text_of

# docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
# aws-properties-elasticloadbalancingv2-listenerrule-rulecondition.html
_FURTHER: Final = {
    "http-header": "http_header",
    "http-request-method": "http_request_method",
    "query-string": "query_string",
    "source-ip": "source_ip",
}


def listener_rule(
    rule: Properties, address: str, place: Span, target_groups: tuple[str, ...], unknown_target: bool
) -> tuple[ListenerRule, list[Note]]:
    """The rule, and the notes to keep where it decides between target groups."""
    notes: list[Note] = []
    paths: tuple[str, ...] | None = ()
    hosts: tuple[str, ...] | None = ()
    further: dict[str, None] = {}
    if rule.open("Conditions"):
        further["a condition that is not known"] = None
    for condition in rule.sections("Conditions"):
        field = condition.text("Field")
        match field:
            case _ if condition.unsure:
                further["a condition that a deploy decides"] = None
            case "path-pattern" if paths == ():
                paths, why, regular = _texts(condition, "PathPatternConfig")
                if why:
                    text = f"{address}: path-pattern is unknown: {why}; the rule may take any request"
                    notes.append(Note(condition.place, text))
                if regular:
                    further["PathPatternConfig.RegexValues"] = None
            case "path-pattern":
                further["a second path-pattern"] = None
            case "host-header":
                hosts = _texts(condition, "HostHeaderConfig")[0] or None
            case _:
                further[_FURTHER.get(field or "", "a condition that is not known")] = None
    wild = [one for one in paths or () if one.lstrip("/")[:1] in ("*", "?") and one.strip("/*")]
    if wild:
        text = f"{address}: {', '.join(wild)} has no literal beginning, so it may take requests of any path"
        notes.append(Note(place, text))
    if further:
        named = ", ".join(further)
        text = f"{address}: further conditions ({named}), so it may take only some requests of its paths"
        notes.append(Note(place, text))
    found = ListenerRule(
        address=address,
        place=place,
        target_groups=target_groups,
        unknown_target=unknown_target,
        priority=rule.whole("Priority"),
        paths=paths,
        hosts=hosts,
        further=tuple(further),
    )
    return found, notes


def _texts(condition: Properties, config: str) -> tuple[tuple[str, ...] | None, str, bool]:
    """The values, in one order, as they are a set; else None with the reason. And whether there are regular
    expressions, too."""
    section = condition.section(config)
    held = section if section.value("Values") is not None else condition
    items = [one for item in held.items("Values") for one in choices(item)]
    regular = section.value("RegexValues") is not None
    lost = next((reason_of(one) or "a value is no text" for one in items if text_of(one) is None), "")
    if held.open("Values"):
        lost = lost or "its values are known when it is deployed"
    if lost:
        return None, lost, regular
    return tuple(sorted({text for one in items if (text := text_of(one)) is not None})), "", regular
