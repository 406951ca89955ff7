"""Modules: their variables, locals, resources and child modules, each evaluated when somebody asks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from keepalign.model.source import SourceText, Span, Step
from keepalign.readers._reader import Note
from keepalign.readers.terraform.evaluator import Evaluator
from keepalign.readers.terraform.files import ModuleFiles, given_variables, read_known, shown
from keepalign.readers.terraform.instances import MAX_INSTANCES, Instance, collection, count_keys, each_keys
from keepalign.readers.terraform.known_modules import KnownModule, NotKnown, apart, known_module
from keepalign.readers.terraform.nodes import Template, TextPart
from keepalign.readers.terraform.project import Call, Project
from keepalign.readers.terraform.sites import argument_site
from keepalign.readers.terraform.structure import Attribute, Block
from keepalign.readers.terraform.trails import named
from keepalign.readers.terraform.types import conform
from keepalign.readers.terraform.values import (
    Data,
    Deferred,
    Fields,
    Reference,
    Scope,
    Stop,
    Unresolved,
    Value,
    bool_of,
    refuse,
    stop,
    unresolved_of,
)

MAX_MODULES: Final = 300
# Keys as people write them, each on a line of its own; comments are none.
_KEY: Final = re.compile(r'^[ \t]*"?(\w+)"?[ \t]*[=:]', re.MULTILINE)


def root_module(project: Project, files: Mapping[str, bytes], folder: str) -> Module:
    """The module that everything begins with. Raises: ReadError."""
    given = given_variables(files, folder)
    module = Module(project, files, project.read(files, folder), prefix="", path=".", given=None)
    module.tfvars = given
    return module


class Module:
    """Implements `evaluator.Names`.

    Args:
        given: a child's argument by name, None when the call has none.
        call: of a known module: the block that calls it. What it leaves out would be written there.
    """

    def __init__(
        self,
        project: Project,
        files: Mapping[str, bytes],
        declared: ModuleFiles,
        *,
        prefix: str,
        path: str,
        given: Callable[[str], Value | None] | None,
        call: Block | None = None,
    ) -> None:
        self.project = project
        self.call = call
        self.declared = declared
        self.prefix = prefix
        self.path = path
        self.tfvars: Mapping[str, Attribute | Value] = {}
        self.evaluator = Evaluator(self, project.budget)
        self._files = files
        self._given = given
        self._defined: dict[str, Value] = {}
        self._running: set[str] = set()
        self._in_cycle = False
        self._instances: dict[str, tuple[Instance, ...]] = {}
        self._children: dict[str, tuple[tuple[Instance, Module], ...]] = {}
        self.scope: Scope = self._base_scope()

    def _base_scope(self) -> Scope:
        nowhere = (Step(SourceText(shown(self.declared.folder, ""), b"").span(0, 0), ""),)

        def constant(data: Data) -> Value:
            return Value(data, nowhere)

        return {
            "path": constant(
                Fields(
                    {
                        "module": constant(self.path),
                        "root": constant("."),
                        "cwd": constant(Unresolved("path.cwd is where Terraform is run")),
                    }
                )
            ),
            "terraform": constant(
                Fields(
                    {"workspace": constant(Unresolved("terraform.workspace is chosen when Terraform is run"))}
                )
            ),
        }

    def evaluate(self, attribute: Attribute, scope: Scope | None = None) -> Value:
        """The value of an argument; its place is the whole expression."""
        return self.evaluator.evaluate(attribute.expr, self.scope if scope is None else scope)

    # evaluator.Names

    def _once(self, name: str, place: Span, define: Callable[[], Value]) -> Value:
        """The value of a definition, evaluated once; a definition that needs itself is unknown."""
        if (known := self._defined.get(name)) is not None:
            return known
        if name in self._running:
            self._in_cycle = True
            return Value(Unresolved(f"{name} depends on itself", error=True), (Step(place, name),))
        self._running.add(name)
        try:
            value = define()
        except Stop as stopped:
            value = Value(stopped.unresolved, (Step(place, name),))
        finally:
            self._running.discard(name)
        value = replace(value, trail=named(value, name))
        # Inside a cycle the outcome depends on where it was entered; only the outermost may be kept.
        if not self._running:
            self._in_cycle = False
        if not (self._in_cycle and isinstance(value.data, Unresolved)):
            self._defined[name] = value
        return value

    def local(self, name: str) -> Value:
        attribute = self.declared.locals.get(name)
        if attribute is None:
            refuse(f"local.{name} is not declared")
        return self._once(f"local.{name}", attribute.span, lambda: self.evaluate(attribute))

    def variable(self, name: str) -> Value:
        block = self.declared.blocks.get(("variable", name))
        if block is None:
            refuse(f"var.{name} is not declared")
        return self._once(f"var.{name}", block.span, lambda: self._variable(name, block))

    def _variable(self, name: str, block: Block) -> Value:
        attributes = block.body.attributes
        value = self._given_value(name)
        nullable = attributes.get("nullable")
        if value is not None and value.data is None and nullable is not None and "default" in attributes:
            value = value if bool_of(self.evaluate(nullable, {})) else None
        if value is None and "default" in attributes:
            value = self.evaluate(attributes["default"], {})
            if self.call is not None:
                value = replace(value, unwritten=argument_site(self.call, name))
        if value is None:
            where = "the call of this module" if self.prefix else "terraform.tfvars"
            return Value(
                Unresolved(f"var.{name} has no default and no value in {where}"), (Step(block.span, ""),)
            )
        constraint = attributes.get("type")
        if constraint is None:
            return value
        return conform(value, constraint.expr, lambda expr: self.evaluator.evaluate(expr, {}))

    def _given_value(self, name: str) -> Value | None:
        if self._given is not None:
            return self._given(name)
        given = self.tfvars.get(name)
        return self.evaluate(given, {}) if isinstance(given, Attribute) else given

    def resource(self, address: str) -> Data:
        block = self.declared.blocks.get(("resource", *address.split(".", 1)))
        if block is None:
            refuse(f"{address} is not declared in this module")
        instances = self.instances(block, address)
        return collection(
            [
                (
                    instance,
                    Deferred(
                        self.prefix + instance.address,
                        lambda name, i=instance: self.resource_attribute(block, i, name),  # type: ignore[misc]  # a default binds the loop's instance
                        instance.wild,
                    ),
                )
                for instance in instances
            ],
            address,
            block,
        )

    def resource_attribute(self, block: Block, instance: Instance, name: str) -> Value:
        """What a resource's attribute is: as written, else a Reference."""
        address = f"{instance.address}.{name}"
        attribute = block.body.attributes.get(name)
        reference = Value(Reference(self.prefix + instance.address, name), (Step(block.span, address),))
        if attribute is None:
            return reference
        value = self._once(address, attribute.span, lambda: self.evaluate(attribute, instance.scope))
        # What is written as null, the provider fills in.
        return reference if value.data is None else value

    def template(self, name: str) -> Data | None:
        block = self.declared.blocks.get(("data", "template_file", name))
        if block is None:
            return None
        address = f"data.template_file.{name}"

        def attribute(instance: Instance, name: str) -> Value:
            if name != "rendered":
                refuse(f"keepalign does not know {address}.{name}")
            text, variables = (block.body.attributes.get(key) for key in ("template", "vars"))
            if text is None:
                refuse(f"{address} has no template")
            given = None if variables is None else self.evaluate(variables, instance.scope)
            return self.evaluator.rendering.rendered(self.evaluate(text, instance.scope), given)

        found = [
            (one, Deferred(self.prefix + one.address, partial(attribute, one), one.wild))
            for one in self.instances(block, address)
        ]
        return collection(found, address, block)

    def child(self, name: str) -> Data:
        block = self.declared.blocks.get(("module", name))
        if block is None:
            refuse(f"module.{name} is not declared")
        children = self.children(name, block)
        if children is None:
            return Unresolved(f"module.{name} was not read")
        return collection(
            [(i, Deferred(f"{self.prefix}{i.address}", child.output, i.wild)) for i, child in children],
            f"module.{name}",
            block,
        )

    def output(self, name: str) -> Value:
        """An output of this module, as its caller sees it. Raises: Stop: it has none of this name."""
        block = self.declared.blocks.get(("output", name))
        if block is None or "value" not in block.body.attributes:
            if self.call is not None:
                stop(f"keepalign does not know the output {name!r} of {self.prefix.rstrip('.')}")
            refuse(f"{self.prefix.rstrip('.')} has no output {name!r}")
        attribute = block.body.attributes["value"]
        return self._once(f"output.{name}", attribute.span, lambda: self.evaluate(attribute))

    def file(self, path: str) -> SourceText:
        folder = self.declared.folder
        # A path is relative to where Terraform runs, the root module; `path.module` leads from there to here.
        at = posixpath.normpath(path)
        inside = at if self.path == "." else at.removeprefix(self.path + "/")
        if posixpath.isabs(at) or inside.startswith("..") or (self.path != "." and inside == at):
            raise Stop(Unresolved(f"{path[:80]!r} lies outside the module"))
        files, name = self._files, inside
        if name not in files:
            below, name = posixpath.split(inside)
            try:
                files = self.project.loader(posixpath.join(folder, below) if folder else below)
            except (KeyError, OSError):
                files = {}
        if name not in files:
            refuse(f"there is no file {path[:80]!r} in the module")
        return SourceText(shown(folder, inside), files[name])

    # Instances

    def instances(self, block: Block, address: str) -> tuple[Instance, ...]:
        """The instances that `count` or `for_each` makes; one, with `[*]`, when their number is not known."""
        if address not in self._instances:
            if address in self._running:
                refuse(f"the number of {address} depends on itself")
            self._running.add(address)
            try:
                self._instances[address] = tuple(self._expand(block, address))
            finally:
                self._running.discard(address)
        return self._instances[address]

    def _expand(self, block: Block, address: str) -> Iterator[Instance]:
        attributes = block.body.attributes
        meta = attributes.get("count") or attributes.get("for_each")
        if meta is None:
            yield Instance(address, self.scope)
            return
        value = self.evaluate(meta)
        unresolved = unresolved_of(value.data)
        try:
            if unresolved is not None:
                raise Stop(unresolved)
            keys = count_keys(value) if meta.name == "count" else each_keys(value)
            if len(keys) > MAX_INSTANCES:
                raise Stop(Unresolved(f"more than {MAX_INSTANCES} instances"))
        except Stop as stopped:
            reason = stopped.unresolved.reason
            whole = f"{self.prefix}{address}"
            text = f"{whole}: how many there are is unknown: {reason}; read as one"
            self.project.counts[whole] = Note(meta.span, text)
            unknown = Value(Unresolved(f"{meta.name} of {address} is not known"), (Step(meta.span, ""),))
            yield Instance(f"{address}[*]", self._instance_scope(unknown, unknown), wild=True)
            return
        for suffix, key, element in keys:
            yield Instance(f"{address}[{suffix}]", self._instance_scope(key, element))

    def _instance_scope(self, key: Value, element: Value) -> Scope:
        each = Value(Fields({"key": key, "value": element}), key.trail)
        count = Value(Fields({"index": key}), key.trail)
        return {**self.scope, "each": each, "count": count}

    def children(self, name: str, block: Block) -> tuple[tuple[Instance, Module], ...] | None:
        """The instances of a module call with their modules; None when it is not read, with a note.

        Raises: ReadError: its files cannot be read.
        """
        address = f"module.{name}"
        if name not in self._children:
            found = self._child_folder(name, block)
            if found is None:
                return None
            path, (files, declared) = found
            modules = []
            for instance in self.instances(block, address):
                self.project.modules += 1
                if self.project.modules > MAX_MODULES:
                    self.project.note(block.span, f"{address}: not read, more than {MAX_MODULES} modules")
                    break
                child = Module(
                    self.project,
                    files,
                    declared,
                    prefix=f"{self.prefix}{instance.address}.",
                    path=path,
                    given=self._arguments(block, instance),
                    call=block if declared.folder in self.project.calls else None,
                )
                modules.append((instance, child))
            self._children[name] = tuple(modules)
        return self._children[name]

    def _arguments(self, block: Block, instance: Instance) -> Callable[[str], Value | None]:
        def given(name: str) -> Value | None:
            attribute = block.body.attributes.get(name)
            return None if attribute is None else self.evaluate(attribute, instance.scope)

        return given

    def _child_folder(
        self, name: str, block: Block
    ) -> tuple[str, tuple[Mapping[str, bytes], ModuleFiles]] | None:
        address = f"{self.prefix}module.{name}"
        attribute = block.body.attributes.get("source")
        source = attribute.expr if attribute is not None else None
        if attribute is None or not isinstance(source, Template):
            self.project.note(block.span, f"{address} was not read: it has no source in plain text")
            return None
        text = "".join(part.value for part in source.parts if isinstance(part, TextPart))
        local = text.startswith(("./", "../")) or text in (".", "..")
        known = None if local else self._known(text, block)
        if isinstance(known, KnownModule):
            return self.path, self._known_folder(address, block, known)
        if isinstance(known, NotKnown):
            self.project.note(attribute.span, f"{address} was not read: {known.reason}")
            return None
        if not local and apart(text):
            return None
        if not local:
            self.project.note(
                attribute.span,
                f"{address} was not read: its source {text!r} is not a local folder;"
                ' a copy of it in the tree, with its path from here as the source ("./…"), would supply it',
            )
            return None
        folder = posixpath.normpath(posixpath.join(self.declared.folder, text))
        path = posixpath.normpath(posixpath.join(self.path, text))
        if self.prefix.count("module.") >= 20:
            self.project.note(attribute.span, f"{address} was not read: modules are nested too deep")
            return None
        found = self.project.folder(folder)
        if found is None:
            self.project.note(
                attribute.span,
                f"{address} was not read: module folder not found: {folder};"
                " correct the source, or give a root that holds it",
            )
            return None
        return path, found

    def _known(self, source: str, block: Block) -> KnownModule | NotKnown | None:
        """What `known_modules` has for a source that is no folder of the tree."""
        version = block.body.attributes.get("version")
        value = self.evaluate(version) if version is not None else None
        constraint = value.data if value is not None and isinstance(value.data, str) else ""
        written = block.source.data[block.start : block.end].decode("utf-8", "replace")
        return known_module(source, constraint, set(_KEY.findall(written)))

    def _known_folder(
        self, address: str, block: Block, known: KnownModule
    ) -> tuple[Mapping[str, bytes], ModuleFiles]:
        """The description of a known module, under a name of its own for this call."""
        folder = f"{known.name} as {address}"
        calls = self.project.calls
        # A known module that calls another: both stand for the caller's own call.
        place = calls[self.declared.folder].place if self.declared.folder in calls else block.span
        calls[folder] = Call(place, known.label, known.source)
        files = {"": known.text}
        return files, read_known(files[""], folder)
