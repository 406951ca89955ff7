"""`aws_lb_listener_rule`: its conditions, and what of them leaves open which requests it takes."""

from __future__ import annotations

from typing import Final

from keepalign.readers._aws import ListenerRule
from keepalign.readers._reader import Note
from keepalign.readers.terraform.blocks import Arguments, items_or_empty, text_or_none
from keepalign.readers.terraform.values import Items, Value, unresolved_of

# registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lb_listener_rule, "Condition Blocks".
_FURTHER: Final = ("http_header", "http_request_method", "query_string", "source_ip")


def listener_rule(
    rule: Arguments, address: str, target_groups: tuple[str, ...], unknown_target: bool
) -> tuple[ListenerRule, list[Note]]:
    """The rule, and the notes to keep where it decides between target groups."""
    notes: list[Note] = []
    paths: tuple[str, ...] | None = ()
    hosts: tuple[str, ...] | None = ()
    further: dict[str, None] = {}
    for condition in rule.sections("condition"):
        read = {kind: list(condition.sections(kind)) for kind in ("path_pattern", "host_header", *_FURTHER)}
        if condition.unknown or not any(read.values()):
            # Also how the provider's version 2 wrote conditions: `field` and `values`.
            further["a condition that is not known"] = None
        for one in read["path_pattern"]:
            if paths == ():
                paths = _texts(one, f"{address}: path_pattern", notes)
            else:
                further["a second path_pattern"] = None
            regular = one.value("regex_values")
            if (
                regular is not None
                and regular.data is not None
                and (_reason(regular) or items_or_empty(regular))
            ):
                further["path_pattern.regex_values"] = None
        for one in read["host_header"]:
            # Which regular expression, and whether it is known, makes no difference: no host is declared.
            hosts = _texts(one, f"{address}: host_header", []) or None
        further |= dict.fromkeys(kind for kind in _FURTHER if read[kind])
    wild = [one for one in paths or () if one.lstrip("/")[:1] in ("*", "?") and one.strip("/*")]
    if wild:
        text = f"{address}: {', '.join(wild)} has no literal beginning, so it may take requests of any path"
        notes.append(Note(rule.place, text))
    if further:
        named = ", ".join(further)
        text = f"{address}: further conditions ({named}), so it may take only some requests of its paths"
        notes.append(Note(rule.place, text))
    return (
        ListenerRule(
            address=address,
            place=rule.place,
            target_groups=target_groups,
            unknown_target=unknown_target,
            priority=rule.number("priority"),
            paths=paths,
            hosts=hosts,
            further=tuple(further),
        ),
        notes,
    )


def _texts(block: Arguments, what: str, notes: list[Note]) -> tuple[str, ...] | None:
    """The `values`, in one order, as they are a set; None, with a note, when one of them is not known."""
    value = block.value("values")
    if value is None or value.data is None:
        unknown, texts, place = block.unknown, set(), block.place
    else:
        unknown, texts, place = (
            _reason(value),
            {text_or_none(one) for one in items_or_empty(value)},
            value.place,
        )
    if not unknown:
        return tuple(sorted(text for text in texts if text is not None))
    notes.append(Note(place, f"{what} is unknown: {unknown}; the rule may take any request"))
    return None


def _reason(value: Value) -> str:
    """Why the texts of a list are not known; empty when they are."""
    for one in (value, *items_or_empty(value)):
        unresolved = unresolved_of(one.data)
        if unresolved is not None:
            return unresolved.reason
    known = isinstance(value.data, Items) and all(
        text_or_none(one) is not None for one in items_or_empty(value)
    )
    return "" if known else "no list of texts"
