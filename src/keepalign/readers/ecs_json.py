"""An ECS task definition as JSON: what `aws ecs register-task-definition --cli-input-json` takes, what the
Actions `amazon-ecs-render-task-definition` and CodePipeline fill in, what `describe-task-definition` says.

Known by its key `containerDefinitions`, at the top level or below `taskDefinition`. Names of variables that
stand in for an image ("<IMAGE1_NAME>", "${IMAGE}", "{{image}}") become "*".

Source: ECS API reference, RegisterTaskDefinition and ContainerDefinition.
"""

from __future__ import annotations

import os
import re
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.readers._aws import AwsFragment, Container, TaskDefinition
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Note, Read, Word
from keepalign.readers._yaml import Fields, Items, Node, Scalar, insertion, read_documents
from keepalign.units import Duration

_KEY: Final = "containerDefinitions"
_STOP: Final = "stopTimeout"
_PLACEHOLDER: Final = re.compile(
    r"<[A-Za-z][\w .-]*>|\$\{[^}]*\}|\$\([^)]*\)|\{\{.*?\}\}|\$[A-Za-z_]\w*|%[A-Z_]+%"
)


class EcsJsonReader:
    """Reads task definitions."""

    name = "ecs_json"

    def recognise(self, path: str, head: bytes) -> bool:
        """*.json whose first 4,096 bytes have the key, or that is called so and ends elsewhere."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        if not base.endswith(".json"):
            return False
        named = re.fullmatch(r"(?:.*[._-])?task[-_]?def(?:inition)?s?(?:[._-].*)?\.json", base) is not None
        return f'"{_KEY}"'.encode() in head or (named and b'"family"' in head)

    def read(self, source: SourceText) -> AwsFragment:
        """One task definition, or none where the file holds something else.

        Raises: ReadError: it is no JSON that can be understood.
        """
        notes: list[Note] = []
        documents = read_documents(source)
        found = []
        for document in documents[:1]:
            root = document if isinstance(document, Fields) else None
            if root is not None and root.get(_KEY) is None:
                root = root.fields("taskDefinition")
            if root is not None and root.get(_KEY) is not None:
                found.append(_definition(source, root, notes))
        return AwsFragment(file=source.file, task_definitions=tuple(found), notes=tuple(notes))


def _definition(source: SourceText, root: Fields, notes: list[Note]) -> TaskDefinition:
    family = root.text("family")
    if family is not None and _PLACEHOLDER.search(family):
        family = None
    listed = root.get(_KEY)
    if not isinstance(listed, Items):
        notes.append(Note(listed.span if listed is not None else None, f"{_KEY} is not a list"))
    containers = []
    for number, item in enumerate(root.items(_KEY), 1):
        if isinstance(item, Fields):
            containers.append(_container(source, item))
        else:
            notes.append(Note(item.span, f"container {number} is not an object"))
    key = root.key(_KEY)
    place = key.span if key is not None else root.span
    return TaskDefinition(family or os.path.basename(source.file), place, family, tuple(containers))


def _container(source: SourceText, fields: Fields) -> Container:
    image = fields.scalar("image")
    name = fields.scalar("name")
    environment: dict[str, str | None] = {}
    for pair in fields.items("environment"):
        variable = pair.text("name") if isinstance(pair, Fields) else None
        if isinstance(pair, Fields) and variable is not None:
            value = pair.text("value")
            environment[variable] = value if value is None or not _PLACEHOLDER.search(value) else None
    for secret in fields.items("secrets"):
        variable = secret.text("name") if isinstance(secret, Fields) else None
        if variable is not None:
            environment[variable] = None
    ports = [one.whole("containerPort") for one in fields.items("portMappings") if isinstance(one, Fields)]
    needs = [one.text("containerName") for one in fields.items("dependsOn") if isinstance(one, Fields)]
    return Container(
        name=name.text if name is not None else "*",
        place=name.span if name is not None else fields.span,
        image=_PLACEHOLDER.sub("*", image.text) if image is not None else None,
        image_span=image.span if image is not None else None,
        command=_command(source, fields.get("command")),
        entry_point=_command(source, fields.get("entryPoint")),
        stop_timeout=_stop_timeout(source, fields),
        ports=tuple(port for port in ports if port is not None),
        depends_on=tuple(need for need in needs if need is not None),
        environment=environment,
        workdir=fields.text("workingDirectory") or "",
    )


def _command(source: SourceText, node: Node | None) -> CommandLine | None:
    if not isinstance(node, Items):
        return None
    words = tuple(_word(item) for item in node.items)
    end = node.items[-1].span.end if node.items else None
    at = source.span(end, end) if end is not None else None
    return CommandLine(words, CommandStyle.LIST, node.span, at)


def _word(item: Node) -> Word:
    if not isinstance(item, Scalar):
        return Word(None, item.span, reason="it is no text")
    if _PLACEHOLDER.fullmatch(item.text) and not item.text.startswith("$"):
        return Word(None, item.span, reason=f"{item.text} is filled in before it is deployed")
    # A shell's own "$NAME" stays one: nothing fills in a command of JSON but the shell that it starts.
    return Word(item.text, item.span, item.value_span)


def _stop_timeout(source: SourceText, fields: Fields) -> Read:
    scalar = fields.scalar(_STOP)
    if scalar is None:
        return Absent(_STOP, insertion(source, fields, f'"{_STOP}": {{value}}'))
    origin = Origin(OriginKind.FILE, (Step(scalar.span, f"{_STOP}: {scalar.text}"),))
    site = Site(scalar.span)
    seconds = fields.whole(_STOP)
    if seconds is None or seconds < 0:
        reason = f"{scalar.text[:40]!r} is no whole number of seconds"
        return Unknown(option=_STOP, origin=origin, site=site, reason=reason)
    return Explicit(option=_STOP, origin=origin, site=site, value=Duration.of(s=seconds))
