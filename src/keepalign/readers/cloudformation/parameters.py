"""The values that stand beside a template for its parameters: parameter files, and samconfig.toml.

A parameter file belongs to a template when it lies beside it or in a folder of parameters there, is called
like it or the template is the only one there, and names no parameter that the template lacks. Where several
belong and differ, as one per environment does, the value is not known.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span, Step
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents
from keepalign.readers.cloudformation.template import Template
from keepalign.readers.cloudformation.values import Lost, Value

Load = Callable[[str], SourceText | None]
"""A file of the tree by its name; None when it cannot be read."""

_NAMED: Final = re.compile(r"(?:^|[-_.])(?:params?|parameters|config(?:uration)?)\.(?:json|ya?ml)$")
_FOLDERS: Final = ("params", "parameters", "config", "configs", "env", "environments")
# A plain mapping may be anything, unless it is called so.
_PLAIN: Final = re.compile(r"param(?:s|eters?)?\b")
_SAM: Final = ("template.yaml", "template.yml")
# `A=1 B="x y"`, and `ParameterKey=A,ParameterValue=1`.
_OVERRIDE: Final = re.compile(r"""([A-Za-z0-9]+)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']*)""")
_LONG: Final = re.compile(r"""ParameterKey=([A-Za-z0-9]+),ParameterValue=("(?:[^"\\]|\\.)*"|[^\s"]*)""")


@dataclass(frozen=True, slots=True)
class _Given:
    """One parameter in one file. `literal`: where it is written; None where no edit of it is safe."""

    text: str
    place: Span
    literal: Span | None


class ParameterFiles:
    """The parameter files of a tree.

    Args:
        listed: every file of the tree.
        templates: which of them are templates.
    """

    def __init__(self, listed: Sequence[str], templates: Sequence[str], load: Load) -> None:
        self._load = load
        self._alone = {folder for folder, held in _by_folder(templates).items() if len(held) == 1}
        self._near: dict[str, list[str]] = {}
        for file in listed:
            folder, name = os.path.split(file)
            if name == "samconfig.toml" or _NAMED.search(name.lower()):
                self._near.setdefault(folder, []).append(file)
            if name.endswith((".json", ".yaml", ".yml")) and os.path.basename(folder).lower() in _FOLDERS:
                self._near.setdefault(os.path.dirname(folder), []).append(file)
        self._found: dict[str, Mapping[str, Value]] = {}

    def given(self, template: Template, parameter: str) -> Value | None:
        """The value of a parameter; None when no file gives one."""
        file = template.source.file
        if file not in self._found:
            self._found[file] = self._read(template)
        return self._found[file].get(parameter)

    def _read(self, template: Template) -> Mapping[str, Value]:
        folder, name = os.path.split(template.source.file)
        sets: list[tuple[str, Mapping[str, _Given]]] = []
        for file in dict.fromkeys(self._near.get(folder, ())):
            source = self._load(file) if file != template.source.file else None
            if source is None:
                continue
            if file.endswith(".toml"):
                sets += [(file, one) for one in _of_samconfig(source, name)]
            elif self._belongs(file, folder, name):
                inner = os.path.relpath(file, folder or ".").lower()
                one = _of_file(source, plain=_PLAIN.search(inner) is not None)
                if one and set(one) <= set(template.parameters):
                    sets.append((file, one))
        found: dict[str, Value] = {}
        for parameter in template.parameters:
            given = [(file, one[parameter]) for file, one in sets if parameter in one]
            if given:
                found[parameter] = _value(parameter, given)
        return found

    def _belongs(self, file: str, folder: str, template: str) -> bool:
        """Whether the names say so: service.yaml and service.params.json, prod/service.json."""
        stem = template.split(".")[0].lower()
        name = os.path.basename(file).lower()
        return name.startswith(stem) or name.split(".")[0].endswith(stem) or folder in self._alone


def _value(parameter: str, given: Sequence[tuple[str, _Given]]) -> Value:
    files = list(dict.fromkeys(file for file, _ in given))
    first = given[0][1]
    if len({one.text for _, one in given}) > 1:
        shown = [f"{one.text} ({file})" for file, one in given if one.text.isdigit() and len(one.text) < 7]
        named = ", ".join(dict.fromkeys(shown)) if len(shown) == len(given) else ", ".join(files)
        return Value(Lost(f"its values for parameter {parameter} differ: {named}"), first.place)
    literal = first.literal if len(given) == 1 else None
    what = f"parameter {parameter} in {os.path.basename(files[0])}"
    return Value(first.text, first.place, literal, (Step(literal or first.place, what),))


def _by_folder(files: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in files:
        found.setdefault(os.path.dirname(file), []).append(file)
    return found


def _of_file(source: SourceText, *, plain: bool) -> dict[str, _Given]:
    """The three forms: of the command line, of CodePipeline, and if `plain` any mapping. Empty for anything
    else."""
    try:
        documents = read_documents(source)
    except ReadError:
        return {}  # not what it was taken for
    root = documents[0] if len(documents) == 1 else None
    found: dict[str, _Given] = {}
    if isinstance(root, Items):
        for item in root:
            fields = item if isinstance(item, Fields) else None
            key = fields.text("ParameterKey") if fields is not None else None
            if fields is None or key is None:
                return {}
            _take(found, key, fields.get("ParameterValue"))
    elif isinstance(root, Fields):
        held = root.fields("Parameters") or (root if plain else None)
        for entry, node in held.entries if held is not None else ():
            _take(found, entry.text, node)
    return found


def _take(found: dict[str, _Given], name: str, node: Node | None) -> None:
    if isinstance(node, Scalar) and node.value is not None:
        found[name] = _Given(node.text, node.span, node.value_span)


def _of_samconfig(source: SourceText, template: str) -> Iterator[dict[str, _Given]]:
    """One set of parameters per environment that deploys `template`; empty when it is no samconfig."""
    try:
        root = tomllib.loads(source.data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return
    for environment in root.values():
        commands = environment.values() if isinstance(environment, dict) else ()
        for command in commands:
            held = command.get("parameters") if isinstance(command, dict) else None
            overrides = held.get("parameter_overrides") if isinstance(held, dict) else None
            if not isinstance(held, dict) or overrides is None:
                continue
            named = held.get("template_file", held.get("template"))
            meant = (os.path.basename(named),) if isinstance(named, str) else _SAM
            if template not in meant:
                continue
            texts = _overrides(overrides)
            yield {name: _Given(text, _line_of(source, name), None) for name, text in texts.items()}


def _overrides(written: object) -> dict[str, str]:
    """Of a text, a list of texts, or a table."""
    if isinstance(written, dict):
        return {str(key): str(text) for key, text in written.items() if isinstance(text, str | int)}
    text = " ".join(map(str, written)) if isinstance(written, list) else str(written)
    pairs = _LONG.findall(text) or _OVERRIDE.findall(text)
    return {name: value.strip("\"'").replace('\\"', '"') for name, value in pairs}


def _line_of(source: SourceText, name: str) -> Span:
    """Where a parameter's name first stands; the beginning where it does not."""
    at = source.data.find(name.encode())
    return source.span(at, at + len(name.encode())) if at != -1 else source.span(0, 0)
