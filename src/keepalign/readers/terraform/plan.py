"""Reads `terraform show -json PLAN`, and the same of a state: exact values, after every variable and module.

The values come from `planned_values`, resource by resource; what is unknown or sensitive, from there and from
`resource_changes`; who refers to whom, from equal ids, else from the references in `configuration`.

A plan holds every value of a stack, secrets included, in one line of text. So nothing of its text is ever
shown: spans carry the address of a value instead (`Span.name`), the plan is not among the sources that
reports print from, and a value that Terraform marks as sensitive is unknown here. No value has a Site: a plan
is made of files, and those are edited.

Source: developer.hashicorp.com/terraform/internals/json-format (checked 2026-11), and plans of Terraform 1.11
with version 5.100 of the AWS provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Span
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Note
from keepalign.readers.terraform._plan_arguments import Estate, PlannedArguments
from keepalign.readers.terraform._plan_json import JsonWalk
from keepalign.readers.terraform._plan_references import (
    Address,
    Block,
    ConfigModule,
    References,
    references_of,
    take_apart,
)
from keepalign.readers.terraform.resources import HANDLERS, Collector

__all__ = ["LARGEST_PLAN", "MAKE_ONE", "is_binary_plan", "read_plan", "recognise"]

# Plans of large estates are tens of megabytes; decoding takes some ten times their size in memory at worst.
LARGEST_PLAN: Final = 100 * 1024 * 1024
MAKE_ONE: Final = "make one: terraform plan -out=tfplan && terraform show -json tfplan > plan.json"
_NEWEST_FORMAT: Final = 1
_ZIP: Final = b"PK\x03\x04"
_MODULES_DEEP: Final = 40

_FORMAT: Final = re.compile(rb'"format_version"\s*:\s*"')
_VERSION: Final = re.compile(rb'"terraform_version"\s*:\s*"')
_BEGIN: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")


def recognise(path: str, head: bytes) -> bool:
    """Whether a file is a plan or a state as JSON, from its name and its first 4,096 bytes."""
    if not path.endswith(".json"):
        return False
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"").lstrip(b"\xff\xfe")
    return bool(_BEGIN.match(head) and _FORMAT.search(head) and _VERSION.search(head))


def is_binary_plan(head: bytes) -> bool:
    """Whether a file is what `terraform plan -out` writes: a zip archive that begins with the plan."""
    return head.startswith(_ZIP) and head[30:36] in (b"tfplan", b"tfstat", b"tfconf")


def read_plan(file: str, data: bytes) -> AwsFragment:
    """What a plan, or a state, says of balancers, target groups, services and tasks.

    Args:
        file: its name for people.
        data: all of it; UTF-8, or UTF-16 with a byte order mark.

    Raises: ReadError: too large, no JSON, no plan, of a newer format, or nested beyond reason.
    """
    if data.startswith(_ZIP):
        raise ReadError(
            "is a binary plan, and keepalign reads plans as JSON",
            file=file,
            hint="terraform show -json FILE prints it as JSON",
        )
    if len(data) > LARGEST_PLAN:
        raise ReadError(
            f"is larger than {LARGEST_PLAN // 1024 // 1024} MiB",
            file=file,
            hint="give the folder of its *.tf files instead",
        )
    return _Plan(JsonWalk(file, data, MAKE_ONE)).read()


@dataclass(slots=True)
class _Planned:
    """One resource instance. `spans`: where its values stand, by argument."""

    address: Address
    text: str
    type: str
    place: Span
    values: Mapping[str, object]
    spans: Mapping[str, Span]
    marks: object


@dataclass(slots=True)
class _Change:
    """What `resource_changes` says of an instance."""

    unknown: object = None
    sensitive: object = None


class _Plan:
    """One reading of one plan."""

    def __init__(self, walk: JsonWalk) -> None:
        self.walk = walk
        self.notes: dict[Note, None] = {}
        self.ids: dict[str, str] = {}
        self._resources: list[_Planned] = []
        self._changes: dict[str, _Change] = {}
        self._root: ConfigModule | None = None
        self._seen: set[str] = set()
        self._errored = False

    def _note(self, span: Span | None, text: str) -> None:
        self.notes[Note(span, text)] = None

    def read(self) -> AwsFragment:
        walk = self.walk
        start = walk.blank(0)
        if not walk.text.startswith("{", start):
            walk.decode(start)
            walk.fail(start, "is no plan: no JSON object")
        end = walk.blank(walk.object(start, self._top))
        if end < len(walk.text):
            walk.fail(end, "is no JSON: text behind the object")
        if not self._seen & {"planned_values", "values", "resource_changes"}:
            walk.fail(start, "is no plan: it has neither planned_values nor values")
        if self._errored:
            self._note(None, f"{walk.file}: the plan is incomplete, because planning ended with an error")
        references = References(self._root, (one.text for one in self._resources))
        estate = Estate(self.ids, references, self._note)
        found = Collector()
        for one in self._resources:
            HANDLERS[one.type](found, self._arguments(one, estate), one.text)
        return found.fragment(walk.file, self._note, self.notes)

    def _top(self, key: str, at: int) -> int | None:
        walk = self.walk
        self._seen.add(key)
        match key:
            case "format_version":
                self._check_format(at)
            case "planned_values" | "values":
                return walk.object(at, lambda name, v: self._module(v, 0) if name == "root_module" else None)
            case "resource_changes":
                return walk.array(at, self._change)
            case "configuration":

                def configured(name: str, v: int) -> int | None:
                    if name != "root_module":
                        return None
                    self._root, end = self._configured(v, 0)
                    return end

                return walk.object(at, configured)
            case "errored":
                self._errored = walk.value(at) is True
        return None

    def _check_format(self, at: int) -> None:
        version = self.walk.value(at)
        major = re.match(r"\d{1,9}", version) if isinstance(version, str) else None
        if major is not None and int(major[0]) > _NEWEST_FORMAT:
            self.walk.fail(
                at,
                f"is of format version {str(version)[:20]}, and keepalign knows {_NEWEST_FORMAT}",
                hint="a newer keepalign may read it; or give the folder of its *.tf files instead",
            )

    # What is planned

    def _module(self, at: int, depth: int) -> int:
        if depth > _MODULES_DEEP:
            self.walk.fail(at, "is nested too deep for a plan")

        def visit(key: str, value: int) -> int | None:
            if key == "resources":
                return self.walk.array(value, self._resource)
            if key == "child_modules":
                return self.walk.array(value, lambda child: self._module(child, depth + 1))
            return None

        return self.walk.object(at, visit)

    def _resource(self, at: int) -> int:
        data, end = self.walk.decode(at)
        if not isinstance(data, dict) or data.get("mode", "managed") != "managed" or "deposed_key" in data:
            return end
        text, kind, values = data.get("address"), _kind(data), data.get("values")
        if not isinstance(text, str) or kind is None or not isinstance(values, dict):
            return end
        address = take_apart(text)
        if address is None or not text.isprintable():
            self._note(None, f"{self.walk.file}: a resource was passed over, its address is none")
            return end
        place = self.walk.span(at, end, text)
        spans: dict[str, Span] = {}

        def visit(key: str, value: int) -> int:
            behind = self.walk.decode(value)[1]
            spans[key] = self.walk.span(value, behind, f"{text}.{key}")
            return behind

        self.walk.object(at, lambda key, value: self.walk.object(value, visit) if key == "values" else None)
        marks = data.get("sensitive_values")
        self._resources.append(_Planned(address, text, kind, place, values, spans, marks))
        for name in ("arn", "id", "dns_name"):
            own = values.get(name)
            if isinstance(own, str) and own:
                self.ids.setdefault(own, text)
        return end

    def _change(self, at: int) -> int:
        data, end = self.walk.decode(at)
        if isinstance(data, dict) and _kind(data) and "deposed" not in data:
            change, address = data.get("change"), data.get("address")
            if isinstance(change, dict) and isinstance(address, str):
                self._changes[address] = _Change(change.get("after_unknown"), change.get("after_sensitive"))
        return end

    # What is written

    def _configured(self, at: int, depth: int) -> tuple[ConfigModule, int]:
        if depth > _MODULES_DEEP:
            self.walk.fail(at, "is nested too deep for a plan")
        walk, module = self.walk, ConfigModule()

        def resource(value: int) -> int:
            data, end = walk.decode(value)
            kind = _kind(data) if isinstance(data, dict) else None
            if isinstance(data, dict) and kind is not None and data.get("mode") != "data":
                expressions = data.get("expressions")
                module.resources[f"{kind}.{data.get('name')}"] = Block(
                    expressions if isinstance(expressions, dict) else {}, _each(data)
                )
            return end

        def call(name: str, value: int) -> int:
            block, each = Block(), {}

            def part(key: str, inner: int) -> int | None:
                if key == "module":
                    block.module, end = self._configured(inner, depth + 1)
                    return end
                if key in ("expressions", "for_each_expression", "count_expression"):
                    data, end = walk.decode(inner)
                    each[key] = data
                    if key == "expressions" and isinstance(data, dict):
                        block.expressions = data
                    return end
                return None

            end = walk.object(value, part)
            block.each = _each(each)
            module.calls[name] = block
            return end

        def output(name: str, value: int) -> int:
            data, end = walk.decode(value)
            if isinstance(data, dict):
                module.outputs[name] = references_of(data.get("expression"))
            return end

        def variable(name: str, value: int) -> int:
            data, end = walk.decode(value)
            if isinstance(data, dict) and data.get("sensitive") is True:
                module.sensitive.add(name)
            return end

        def visit(key: str, value: int) -> int | None:
            match key:
                case "resources":
                    return walk.array(value, resource)
                case "module_calls":
                    return walk.object(value, call)
                case "outputs":
                    return walk.object(value, output)
                case "variables":
                    return walk.object(value, variable)
                case _:
                    return None

        return module, walk.object(at, visit)

    def _arguments(self, one: _Planned, estate: Estate) -> PlannedArguments:
        change = self._changes.get(one.text, _Change())
        block = estate.references.block(one.address)
        return PlannedArguments(
            estate=estate,
            at=one.address,
            place=one.place,
            values=one.values,
            spans=one.spans,
            after_apply=change.unknown,
            marks=(one.marks, change.sensitive),
            written=None if block is None else block.expressions,
        )


def _kind(data: Mapping[str, object]) -> str | None:
    """The type of a resource, when it is one that is read."""
    kind = data.get("type")
    return kind if isinstance(kind, str) and kind in HANDLERS else None


def _each(data: Mapping[str, object]) -> tuple[str, ...]:
    return (
        *references_of(data.get("for_each_expression")),
        *references_of(data.get("count_expression")),
    )
