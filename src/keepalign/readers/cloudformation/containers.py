"""`ContainerDefinitions` to Containers."""

from __future__ import annotations

import os
import re
from typing import Final

from keepalign.readers._aws import Container
from keepalign.readers._reader import CommandLine, CommandStyle, Word
from keepalign.readers._yaml import Scalar
from keepalign.readers.cloudformation.properties import Properties
from keepalign.readers.cloudformation.scope import Scope
from keepalign.readers.cloudformation.values import Lost, Many, Value, pattern_of, reason_of, text_of

# The CDK tags an image with the hash of the folder that it is built from, and copies that folder.
_ASSET: Final = re.compile(r":([0-9a-f]{64})$")


def containers(task: Properties) -> tuple[Container, ...]:
    """The containers of a task definition."""
    return tuple(_container(one) for one in task.sections("ContainerDefinitions"))


def _container(one: Properties) -> Container:
    image = one.value("Image")
    ports = [mapping.whole("ContainerPort") for mapping in one.sections("PortMappings")]
    needs = [needed.text("ContainerName") for needed in one.sections("DependsOn")]
    environment: dict[str, str | None] = {}
    for pair in one.sections("Environment"):
        name = pair.text("Name")
        if name is not None:
            # Of several that a condition picks from, none is known.
            environment[name] = None if pair.unsure and name in environment else pair.text("Value")
    for pair in one.sections("Secrets"):
        name = pair.text("Name")
        if name is not None:
            environment[name] = None
    return Container(
        name=one.pattern("Name") or "*",
        place=one.place,
        image=pattern_of(image),
        image_span=image.place if image is not None else None,
        command=_command(one.value("Command"), one.scope),
        entry_point=_command(one.value("EntryPoint"), one.scope),
        stop_timeout=one.seconds("StopTimeout", "stopTimeout"),
        ports=tuple(port for port in ports if port is not None),
        depends_on=tuple(name for name in needs if name is not None),
        environment=environment,
        build=_asset(pattern_of(image) or "", one.scope.template.source.file),
    )


def _asset(image: str, template: str) -> str | None:
    """The folder that the CDK copied what it builds to."""
    found = _ASSET.search(image)
    return os.path.join(os.path.dirname(template), f"asset.{found[1]}") if found is not None else None


def _command(value: Value | None, scope: Scope) -> CommandLine | None:
    if value is None:
        return None
    if not isinstance(value.data, Many):
        reason = reason_of(value) or "a command that is not a list"
        return CommandLine((Word(None, value.place, reason=reason),), CommandStyle.LIST, value.place)
    words = tuple(_word(item) for item in value.data.items)
    written = value.data.written
    source = scope.template.source
    # A list from elsewhere (a parameter, another template) has no end of its own here.
    last = written.items[-1] if written is not None and written.items else None
    if written is None or not isinstance(last, Scalar) or written.span.file != source.file:
        return CommandLine(words, CommandStyle.LIST, value.place)
    end = source.span(last.span.end, last.span.end) if not scope.template.generated else None
    at = written.span.start
    match source.data[at : at + 1]:
        case b"[":
            return CommandLine(words, CommandStyle.LIST, value.place, end)
        case b"-" if last.value_span is not None:
            line_end = "\r\n" if b"\r\n" in source.data else "\n"
            lead = f"{line_end}{' ' * (written.span.column - 1)}- "
            return CommandLine(words, CommandStyle.ROWS, value.place, end, lead=lead)
        case _:
            return CommandLine(words, CommandStyle.LIST, value.place)


def _word(value: Value) -> Word:
    via = tuple((step.what, step.span) for step in value.trail)
    text = text_of(value)
    if text is not None:
        return Word(text, value.place, value_span=value.literal, via=via)
    reason = value.data.reason if isinstance(value.data, Lost) else reason_of(value)
    return Word(None, value.place, reason=reason or "it is no text", via=via)
