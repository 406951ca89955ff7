"""Templates that belong together: nested stacks, and those that import what others export."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Step
from keepalign.readers._reader import Note
from keepalign.readers.cloudformation.parameters import ParameterFiles
from keepalign.readers.cloudformation.scope import Scope
from keepalign.readers.cloudformation.template import Resource, Template, read_template
from keepalign.readers.cloudformation.values import Lost, Value, pattern_of, reason_of, text_of

_STACK: Final = "AWS::CloudFormation::Stack"
_NESTED: Final = 5
"""Stacks in stacks; CloudFormation itself has no limit, and nobody writes as many."""
_MOST: Final = 300
"""Nested stacks in all: templates that nest each other twice would double at every level."""


class Stacks:
    """All templates of a tree, each with its parameters.

    Args:
        files: the templates.
        listed: every file of the tree.
        load: its text; None when it cannot be read.
        prefixes: root template to the prefix of its resources' addresses.
        templates: those that were read already; completed.
        wanted: what must be readable, as somebody named it.
    """

    def __init__(
        self,
        files: Sequence[str],
        listed: Sequence[str],
        load: Callable[[str], SourceText | None],
        prefixes: Mapping[str, str],
        templates: dict[str, Template | None],
        wanted: Collection[str] = (),
    ) -> None:
        self.depth = 0
        self.imports: set[tuple[str, str]] = set()
        """Root templates that import from each other."""
        self.missing: dict[tuple[str, str], Note] = {}
        self._listed = frozenset(listed)
        self._load = load
        self._templates = templates
        self._wanted = wanted
        self._parameters = ParameterFiles(listed, files, load)
        self._children: dict[tuple[int, str], Scope | None] = {}
        self._level: dict[int, int] = {}
        self._root: dict[int, str] = {}
        self._importing = 0
        self._exports: list[tuple[Value, Scope, str]] | None = None
        called: set[str] = set()
        scopes: dict[str, Scope] = {}
        for file in files:
            template = self._template(file)
            if template is not None:
                scopes[file] = Scope(template, self, prefixes.get(file, ""))
                self._level[id(scopes[file])] = 0
                self._root[id(scopes[file])] = file
        for scope in list(scopes.values()):
            called |= {child.template.source.file for child in self.below(scope)}
        if len(called) == len(scopes):
            called.clear()  # they nest each other in a circle
        self.roots = {file: scope for file, scope in scopes.items() if file not in called}

    def below(self, scope: Scope) -> list[Scope]:
        """The nested stacks of a stack, and theirs."""
        found: list[Scope] = []
        waiting = [scope]
        while waiting:
            one = waiting.pop()
            children = [
                self.child(one, resource)
                for resource in one.template.resources.values()
                if resource.kind == _STACK and one.exists(resource)
            ]
            held = [child for child in children if child is not None]
            found += held
            waiting += reversed(held)
        return found

    def _template(self, file: str) -> Template | None:
        if file not in self._templates:
            source = self._load(file)
            self._templates[file] = None
            if source is not None:
                try:
                    self._templates[file] = read_template(source)
                except ReadError as error:
                    if file in self._wanted:
                        raise
                    place = f", line {error.line}" if error.line else ""
                    note = Note(None, f"{file}{place} was not used: it {error.message}")
                    self.missing[file, ""] = note
        return self._templates[file]

    # Around

    def given(self, scope: Scope, parameter: str) -> Value | None:
        """See `scope.Around`."""
        return self._parameters.given(scope.template, parameter)

    def child(self, scope: Scope, resource: Resource) -> Scope | None:
        """See `scope.Around`."""
        key = (id(scope), resource.name)
        if key not in self._children:
            self._children[key] = None
            level = self._level[id(scope)] + 1
            if level <= _NESTED and len(self._children) <= _MOST:
                self._children[key] = self._nest(scope, resource, level)
            else:
                text = (
                    f"nested stack {resource.name} is not followed: stacks are nested too often or too deep"
                )
                self.missing[scope.template.source.file, resource.name] = Note(resource.place, text)
        return self._children[key]

    def _nest(self, scope: Scope, resource: Resource, level: int) -> Scope | None:
        written = self._url(scope, resource)
        file = self._file(scope.template.source.file, written)
        template = self._template(file) if file is not None else None
        if template is None:
            text = f"the template of nested stack {resource.name} is not in the given folders"
            self.missing[scope.template.source.file, resource.name] = Note(resource.place, text)
            return None
        passed = {}
        declared = resource.fields.fields("Properties", "Parameters")
        for key, node in declared.entries if declared is not None else ():
            value = scope.value(node)
            # Where the stack that nests it says NoValue, the Default counts.
            if value.data is not None:
                step = Step(value.place, f"parameter {key.text} of {resource.name}")
                passed[key.text] = replace(value, trail=(step, *value.trail))
        child = Scope(template, self, f"{scope.prefix}{resource.name}.", passed)
        self._level[id(child)] = level
        self._root[id(child)] = self._root[id(scope)]
        return child

    @staticmethod
    def _url(scope: Scope, resource: Resource) -> str:
        # The CDK writes which file it means beside an address that only a deploy knows.
        asset = resource.fields.text("Metadata", "aws:asset:path")
        if asset is not None:
            return asset
        return pattern_of(scope.value(resource.fields.get("Properties", "TemplateURL"))) or ""

    def _file(self, parent: str, url: str) -> str | None:
        """The file that a path means, or that the longest tail of an address names beside the parent."""
        if "://" not in url and "*" not in url:
            found = os.path.normpath(os.path.join(os.path.dirname(parent), url))
            return found if found in self._listed and found != os.path.normpath(parent) else None
        pieces = [piece for piece in url.rsplit("*", 1)[-1].split("?")[0].split("/") if piece]
        if "://" in url and "*" not in url:
            pieces = pieces[2:]  # the scheme, and the host
        folder = os.path.dirname(parent)
        for skip in range(len(pieces)):
            for base in (folder, os.path.dirname(folder)):
                found = os.path.normpath(os.path.join(base, *pieces[skip:]))
                if found in self._listed and found != os.path.normpath(parent):
                    return found
        return None

    def exported(self, scope: Scope, name: Value) -> Value:
        """See `scope.Around`."""
        wanted = pattern_of(name) or "*"
        if not wanted.strip("*") or self._importing > 3:
            return Value(Lost(reason_of(name) or "the name that it imports is not known"), name.place)
        self._importing += 1
        try:
            found = [one for one in self._all_exports() if _fits(wanted, pattern_of(one[0]) or "*")]
            exact = [one for one in found if text_of(one[0]) == wanted]
            found = exact or found
            if len(found) != 1:
                why = "is not in the given folders" if not found else "fits several exports"
                return Value(Lost(f"the export {wanted} {why}"), name.place)
            ((exporting, owner, output),) = found
            value = owner.output(output, name.place)
            self.imports.add((self._root[id(scope)], self._root[id(owner)]))
            file = owner.template.source.file
            by_name = f"the import of {wanted} fits the export {pattern_of(exporting)} of {file} by its name"
            known = text_of(name) is not None and text_of(exporting) is not None
            return replace(value, literal=None, by_name="" if known else by_name)
        finally:
            self._importing -= 1

    def _all_exports(self) -> list[tuple[Value, Scope, str]]:
        if self._exports is None:
            self._exports = found = []
            for root in self.roots.values():
                for scope in (root, *self.below(root)):
                    for output, fields in scope.template.outputs.items():
                        node = fields.get("Export", "Name")
                        if node is not None:
                            found.append((scope.value(node), scope, output))
        return self._exports


def _fits(wanted: str, exported: str) -> bool:
    """Whether two names, each perhaps with "*" for pieces, can be the same."""
    if not exported.strip("*"):
        return False
    if len(wanted) > 300 or len(exported) > 300 or max(wanted.count("*"), exported.count("*")) > 4:
        return False
    one, other = (name.replace("[", "[[]") for name in (wanted, exported))
    return fnmatchcase(wanted, other) or fnmatchcase(exported, one)
