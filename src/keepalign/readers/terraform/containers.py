"""Container definitions to Containers: from `jsonencode`, or from JSON text in a heredoc or a file."""

from __future__ import annotations

from typing import Final

from keepalign.model.source import Span
from keepalign.readers._aws import Container
from keepalign.readers._reader import CommandLine, CommandStyle, Word
from keepalign.readers.terraform import jsontext
from keepalign.readers.terraform.blocks import (
    Arguments,
    fields_or_empty,
    items_or_empty,
    text_or_none,
    whole_or_none,
)
from keepalign.readers.terraform.sites import element_site, read_seconds
from keepalign.readers.terraform.values import Fields, Items, Stop, Value, text_of, unresolved_of

_KEYS: Final = (
    "name", "image", "command", "entryPoint", "environment", "secrets", "dependsOn", "portMappings",
    "stopTimeout",
)  # fmt: skip


def containers(task: Arguments, address: str) -> tuple[Container, ...]:
    """The containers of a task definition; what cannot be evaluated is noted."""
    note = task.note
    value = task.value("container_definitions")
    if value is None:
        note(task.place, f"{address} has no container_definitions")
        return ()
    try:
        definitions = jsontext.decode(value)
        if (unresolved := unresolved_of(definitions.data)) is not None:
            raise Stop(unresolved)
    except Stop as stopped:
        note(value.place, f"the containers of {address} are unknown: {stopped.unresolved.reason}")
        return ()
    if not isinstance(definitions.data, Items):
        note(value.place, f"container_definitions of {address} is not a list")
        return ()
    found = []
    for number, element in enumerate(definitions.data.values, 1):
        if isinstance(element.data, Fields):
            found.append(_container(element, element.data))
        else:
            unresolved = unresolved_of(element.data)
            reason = f"unknown: {unresolved.reason}" if unresolved else "not an object"
            note(element.place, f"container {number} of {address} is {reason}")
    return tuple(found)


def _container(value: Value, fields: Fields) -> Container:
    # The provider reads the keys in any case: `entrypoint`, `StopTimeout`.
    lower = {key.lower(): one for key, one in fields.values.items()}
    parts = {key: fields.values.get(key, lower.get(key.lower())) for key in _KEYS}
    image = parts.get("image")
    ports = [
        whole_or_none(fields_or_empty(m).get("containerPort"))
        for m in items_or_empty(parts.get("portMappings"))
    ]
    needs = [
        text_or_none(fields_or_empty(d).get("containerName")) for d in items_or_empty(parts.get("dependsOn"))
    ]
    environment: dict[str, str | None] = {}
    for pair in items_or_empty(parts.get("environment")):
        name = text_or_none(fields_or_empty(pair).get("name"))
        if name is not None:
            environment[name] = text_or_none(fields_or_empty(pair).get("value"))
    for pair in items_or_empty(parts.get("secrets")):
        name = text_or_none(fields_or_empty(pair).get("name"))
        if name is not None:
            environment[name] = None
    return Container(
        name=_pattern(parts.get("name")) or "*",
        place=value.place,
        image=_pattern(image),
        image_span=image.place if image is not None and image.data is not None else None,
        command=_command(parts.get("command")),
        entry_point=_command(parts.get("entryPoint")),
        stop_timeout=read_seconds(
            "stopTimeout", parts.get("stopTimeout"), element_site(fields, "stopTimeout")
        ),
        ports=tuple(port for port in ports if port is not None),
        depends_on=tuple(name for name in needs if name is not None),
        environment=environment,
    )


def _pattern(value: Value | None) -> str | None:
    """A text with "*" for every piece that is not known; None when it is absent."""
    if value is None or value.data is None:
        return None
    if (unresolved := unresolved_of(value.data)) is not None:
        return unresolved.pattern
    return text_or_none(value)


def _command(value: Value | None) -> CommandLine | None:
    if value is None or value.data is None:
        return None
    if not isinstance(value.data, Items):
        unresolved = unresolved_of(value.data)
        reason = unresolved.reason if unresolved else "a command that is not a list"
        return CommandLine((Word(None, value.place, reason=reason),), CommandStyle.LIST, value.place)
    words = tuple(_word(element) for element in value.data.values)
    return CommandLine(words, CommandStyle.LIST, value.place, value.data.append_at)


def _word(value: Value) -> Word:
    via = tuple((step.what, step.span) for step in value.trail[1:] if step.what)
    literal: Span | None = value.literal
    try:
        return Word(text_of(value), value.place, value_span=literal, via=via)
    except Stop as stopped:
        return Word(None, value.place, reason=stopped.unresolved.reason, via=via)
