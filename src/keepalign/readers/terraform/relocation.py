"""What was read through a known module, with places of the caller's own files.

A file of `known_modules` is shown to nobody: it is ours. Values that the caller wrote keep their own places;
a value that the module itself chooses is its Default; and everything else lies at the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from keepalign.model.setting import Default, Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, Span, Step
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Note
from keepalign.readers.terraform.project import Call

_T = TypeVar("_T")

# Where these lie in a file of ours, nothing can be written.
_EDITED = ("append_at", "site", "value_span")


def relocated(fragment: AwsFragment, calls: Mapping[str, Call]) -> AwsFragment:
    """`fragment` without places in the files that `calls` names."""
    if not calls:
        return fragment
    notes = dict.fromkeys(
        Note(one.span if one.span is None else _span(one.span, calls), one.text) for one in fragment.notes
    )
    return replace(_moved(replace(fragment, notes=()), calls), notes=tuple(notes))


def _moved(part: _T, calls: Mapping[str, Call]) -> _T:
    # Any: the walk goes through dataclasses of every kind, and gives back what it got.
    found: Any = part
    match part:
        case Span():
            found = _span(part, calls)
        case Explicit() | Unknown():
            found = _setting(part, calls)
        case Site():
            found = _site(part, calls)
        case tuple():
            found = tuple(_moved(one, calls) for one in part)
        case _ if is_dataclass(part) and not isinstance(part, type):
            changes: dict[str, Any] = {}
            for each in fields(part):
                value = getattr(part, each.name)
                ours = each.name in _EDITED and isinstance(value, Span) and value.file in calls
                changes[each.name] = None if ours else _moved(value, calls)
            found = replace(part, **changes)
        case _:
            pass
    return found  # type: ignore[no-any-return]  # as above


def _span(span: Span, calls: Mapping[str, Call]) -> Span:
    call = calls.get(span.file)
    return span if call is None else call.place


def _site(site: Site | None, calls: Mapping[str, Call]) -> Site | None:
    return None if site is None or site.span.file in calls else site


def _setting(setting: Explicit | Unknown, calls: Mapping[str, Call]) -> Explicit | Default | Unknown:
    steps = setting.origin.steps
    own = tuple(step for step in steps if step.span.file not in calls)
    if own == steps:
        return setting
    site = _site(setting.site, calls)
    if isinstance(setting, Explicit) and (call := calls.get(steps[-1].span.file)) is not None:
        origin = Origin(OriginKind.DEFAULT, note=f"default of {call.label}", source=call.source)
        return Default(option=setting.option, origin=origin, site=site, value=setting.value)
    first = own[0].span if own else _span(steps[0].span, calls)
    kept = (Step(first, setting.option), *own[1:])
    return replace(setting, origin=replace(setting.origin, steps=kept), site=site)
