"""One template and its sections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note
from keepalign.readers._yaml import Fields, Node, Scalar, read_documents

# docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-reference.html; these leave the
# resources read here as they are written.
_HARMLESS: Final = frozenset(
    {"AWS::Serverless-2016-10-31", "AWS::LanguageExtensions", "AWS::CodeDeployBlueGreen"}
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of `Resources`. `place`: of its logical name. `condition`: the name; empty for none."""

    name: str
    place: Span
    kind: str
    fields: Fields
    condition: str


@dataclass(frozen=True, slots=True)
class Template:
    """The sections; those that are missing are empty. `synthesised`: by the CDK, as its marks in it say."""

    source: SourceText
    parameters: Mapping[str, Fields]
    mappings: Fields | None
    conditions: Mapping[str, Node]
    resources: Mapping[str, Resource]
    outputs: Mapping[str, Fields]
    notes: tuple[Note, ...]
    synthesised: bool = False

    @property
    def generated(self) -> bool:
        """Whether a tool writes it anew at every run, so that no edit lasts."""
        return "cdk.out" in self.source.file.split(os.sep) or self.synthesised


def read_template(source: SourceText) -> Template:
    """The sections of a template. Raises: ReadError: no YAML or JSON, or no mapping."""
    documents = read_documents(source)
    root = documents[0] if documents else None
    if not isinstance(root, Fields):
        raise ReadError(
            "is no template: it holds no mapping with Resources", file=source.file, line=1, column=1
        )
    notes: list[Note] = []
    resources: dict[str, Resource] = {}
    section = root.fields("Resources")
    serverless = None
    for key, node in section.entries if section is not None else ():
        name = key.text
        if name.startswith("Fn::"):
            what = ":".join(name.split(":")[:3])
            notes.append(Note(key.span, f"{what} adds resources when it is deployed; they are not read"))
        elif isinstance(node, Fields) and (kind := node.text("Type")) is not None:
            resources[name] = Resource(name, key.span, kind, node, node.text("Condition") or "")
            if kind.startswith(("AWS::Serverless::", "AWS::ApiGateway")):
                serverless = serverless or key.span
    if serverless is not None:
        text = "functions and API gateways are not judged; only balancers and what stands behind them are"
        notes.append(Note(serverless, text))
    for macro in _macros(root.get("Transform")):
        if macro.text not in _HARMLESS:
            text = f"the transform {macro.text} changes the template when it is deployed; that is not read"
            notes.append(Note(macro.span, text))
    conditions = root.fields("Conditions")
    return Template(
        source=source,
        parameters=_sections(root.fields("Parameters")),
        mappings=root.fields("Mappings"),
        conditions={key.text: node for key, node in conditions.entries} if conditions is not None else {},
        resources=resources,
        outputs=_sections(root.fields("Outputs")),
        notes=tuple(notes),
        synthesised=b'"aws:cdk:path"' in source.data,
    )


def _sections(fields: Fields | None) -> dict[str, Fields]:
    found = fields.entries if fields is not None else ()
    return {key.text: node for key, node in found if isinstance(node, Fields)}


def _macros(node: Node | None) -> list[Scalar]:
    """The names of a Transform: one, a list, or `Name:` of a mapping."""
    found: list[Scalar] = []
    for one in node if node is not None and not isinstance(node, Scalar | Fields) else (node,):
        name = one.get("Name") if isinstance(one, Fields) else one
        if isinstance(name, Scalar):
            found.append(name)
    return found
