"""What the expressions of a plan's `configuration` refer to, through variables, outputs and for_each.

The plan of a stack that does not exist yet knows no id: which target group a listener forwards to stands only
in the references of its expressions. Values of locals are not in a plan, so a reference through one is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

Path: TypeAlias = tuple[str, ...]
"""The module calls that lead to a module, with their keys: ('svc["api"]',)."""

T = TypeVar("T")

_STEP: Final = re.compile(r'([\w-]+)(\[(?:\d+|"(?:[^"\\]|\\.)*")\])?(?:\.|\Z)')
_KEYS: Final = frozenset({"each.key", "each.value", "count.index"})
# Far more than any expression, and any plan, needs; one that is made to be slow ends here.
_STEPS: Final = 1_000
_ALL_STEPS: Final = 2_000_000
_DEEPEST: Final = 40


@dataclass(slots=True)
class Block:
    """A resource or a module call: its arguments, and what its count or for_each refers to."""

    expressions: Mapping[str, object] = field(default_factory=dict)
    each: tuple[str, ...] = ()
    module: ConfigModule | None = None


@dataclass(slots=True)
class ConfigModule:
    """What one module is written as. `resources` by "type.name"; `sensitive`: variables marked so."""

    resources: dict[str, Block] = field(default_factory=dict)
    calls: dict[str, Block] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sensitive: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Address:
    """A resource's address taken apart: `key` is its "[0]" or '["a"]', or empty."""

    path: Path
    resource: str
    key: str


def take_apart(address: str) -> Address | None:
    """`module.svc["a.b"].aws_lb.this[0]`; None when it is no address of a managed resource."""
    steps = list(_steps(address))
    path: list[str] = []
    while len(steps) >= 2 and steps[0] == ("module", ""):
        path.append("".join(steps[1]))
        steps = steps[2:]
    if len(steps) != 2 or steps[0][1] or len(path) > _DEEPEST:
        return None
    return Address(tuple(path), f"{steps[0][0]}.{steps[1][0]}", steps[1][1])


def _steps(text: str) -> Iterator[tuple[str, str]]:
    """Names with their keys; nothing for what is no address."""
    found, at = [], 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return
        found.append((match[1], match[2] or ""))
        at = match.end()
    yield from found


def references_of(expression: object) -> tuple[str, ...]:
    """The references of one expression, or of all in a list of them; at most 1,000 are looked at."""
    found: list[str] = []
    for one in expression if isinstance(expression, list) else [expression]:
        refs = one.get("references") if isinstance(one, dict) else None
        found += [ref for ref in refs[:_STEPS] if isinstance(ref, str)] if isinstance(refs, list) else []
    return tuple(found[:_STEPS])


class References:
    """Finds the resource instances that references mean.

    Args:
        addresses: of every managed resource instance that is planned.
    """

    def __init__(self, root: ConfigModule | None, addresses: Iterable[str]) -> None:
        self._root = root
        self._instances: dict[tuple[Path, str], dict[str, str]] = {}
        self._children: dict[tuple[Path, str], dict[str, Path]] = {}
        self._steps = 0
        self._all_steps = 0
        for address in addresses:
            parts = take_apart(address)
            if parts is None:
                continue
            self._instances.setdefault((parts.path, parts.resource), {})[parts.key] = address
            for depth, call in enumerate(parts.path):
                name, bracket, _ = call.partition("[")
                key = call[len(name) :] if bracket else ""
                self._children.setdefault((parts.path[:depth], name), {})[key] = parts.path[: depth + 1]

    def block(self, at: Address) -> Block | None:
        """How the resource is written; None when the plan does not say."""
        module = self._module(at.path)
        return module.resources.get(at.resource) if module is not None else None

    def of(self, refs: tuple[str, ...], at: Address) -> tuple[str, ...]:
        """Addresses of the resources that an expression of the resource `at` depends on, in order.

        Of a resource with several instances, all of which may be meant, no more than two are given.
        """
        self._steps = 0
        block = self.block(at)
        found: dict[str, None] = {}
        self._follow(refs, at.path, at.key, block.each if block is not None else (), found, set(), None)
        return tuple(found)

    def sensitive(self, refs: tuple[str, ...], at: Address) -> bool:
        """Whether the expression depends on a variable that is marked as sensitive."""
        self._steps = 0
        block = self.block(at)
        secrets: set[str] = set()
        each = block.each if block is not None else ()
        self._follow(refs, at.path, at.key, each, {}, set(), secrets)
        return bool(secrets)

    def _module(self, path: Path) -> ConfigModule | None:
        module = self._root
        for call in path:
            found = module.calls.get(call.partition("[")[0]) if module is not None else None
            module = found.module if found is not None else None
        return module

    def _follow(
        self,
        refs: tuple[str, ...],
        path: Path,
        key: str,
        each: tuple[str, ...],
        found: dict[str, None],
        seen: set[tuple[Path, str, str]],
        secrets: set[str] | None,
        depth: int = 0,
    ) -> None:
        """Adds to `found`, and the names of sensitive variables to `secrets`."""
        module = self._module(path)
        if module is None or depth > _DEEPEST:
            return
        keyed = any(ref in _KEYS for ref in refs)
        last = ""
        for ref in refs:
            self._steps += 1
            self._all_steps += 1
            if self._steps > _STEPS or self._all_steps > _ALL_STEPS:
                return
            # Terraform gives each reference first as written, then without its last steps.
            if last.startswith(ref) and last[len(ref) : len(ref) + 1] in (".", "["):
                continue
            last = ref
            if (path, key, ref) in seen:
                continue
            seen.add((path, key, ref))
            match list(_steps(ref)):
                case [("var", ""), (name, _), *_]:
                    if secrets is not None and name in module.sensitive:
                        secrets.add(name)
                    if not path:
                        continue
                    caller = self._module(path[:-1])
                    call_name, bracket, _ = path[-1].partition("[")
                    call = caller.calls.get(call_name) if caller is not None else None
                    if call is not None:
                        outer = path[-1][len(call_name) :] if bracket else ""
                        wanted = references_of(call.expressions.get(name))
                        self._follow(wanted, path[:-1], outer, call.each, found, seen, secrets, depth + 1)
                case [("each", ""), ("value", _), *_]:
                    self._follow((*each, "each.key"), path, key, (), found, seen, secrets, depth + 1)
                case [("module", ""), (name, index), *rest]:
                    children = self._children.get((path, name), {})
                    call = module.calls.get(name)
                    outputs = call.module.outputs if call is not None and call.module is not None else {}
                    names = [rest[0][0]] if rest else list(outputs)
                    for child in _chosen(children, index, key if keyed else ""):
                        for output in names:
                            wanted = outputs.get(output, ())
                            self._follow(wanted, child, "", (), found, seen, secrets, depth + 1)
                case [("data", ""), (kind, ""), (name, index), *_]:
                    prefix = "".join(f"module.{call}." for call in path)
                    found[f"{prefix}data.{kind}.{name}{index}"] = None
                case [(kind, ""), (name, index), *_]:
                    instances = self._instances.get((path, f"{kind}.{name}"), {})
                    found |= dict.fromkeys(_chosen(instances, index, key if keyed else ""))
                case _:
                    pass


def _chosen(instances: Mapping[str, T], index: str, key: str) -> list[T]:
    """The instance of this index; else the one that has the same key as who asks; else two, if so many."""
    if index:
        return [instances[index]] if index in instances else []
    if key and key in instances:
        return [instances[key]]
    return [one for one, _ in zip(instances.values(), range(2), strict=False)]
