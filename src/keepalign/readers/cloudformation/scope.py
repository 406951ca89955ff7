"""What the expressions of a template are worth before a deploy.

Only what literals decide is decided: parameters by their values or Defaults, mappings, conditions over them.
Everything else is `Lost` with its reason, or `Either` where a condition picks one of two.
Reference: docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from keepalign.model.source import Span, Step
from keepalign.readers._yaml import Fields, Items, Node, Scalar
from keepalign.readers.cloudformation.template import Resource, Template
from keepalign.readers.cloudformation.values import (
    Either,
    Lost,
    Many,
    Parts,
    Reference,
    Value,
    pattern_of,
    reason_of,
    text_of,
)

_DEEPEST: Final = 60
_LONGEST: Final = 20_000
_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")
_ESCAPED: Final = re.compile(r"\$\{!([^}]*)\}")
_STACK: Final = "AWS::CloudFormation::Stack"
_REPOSITORY: Final = "AWS::ECR::Repository"
# What bounds a parameter's value: another Default could break it.
_BOUNDS: Final = ("AllowedValues", "AllowedPattern", "MaxValue", "MinValue", "MaxLength", "MinLength")


class Around(Protocol):
    """What a template cannot know by itself. `depth`: how deep the evaluation is, through all templates."""

    depth: int

    def given(self, scope: Scope, parameter: str) -> Value | None:
        """What stands beside a template for its parameter; None for nothing."""
        ...

    def child(self, scope: Scope, resource: Resource) -> Scope | None:
        """The template of a nested stack; None when it is not in the given folders."""
        ...

    def exported(self, scope: Scope, name: Value) -> Value:
        """What another stack exports under a name or pattern."""
        ...


class Scope:
    """One stack: a template with its parameters.

    Args:
        prefix: of its resources' addresses, "Edge." for those of the nested stack Edge.
        passed: what the stack that nests it passes; None where none does.
    """

    def __init__(
        self, template: Template, around: Around, prefix: str = "", passed: Mapping[str, Value] | None = None
    ) -> None:
        self.template = template
        self.prefix = prefix
        self._around = around
        self._passed = passed
        self._parameters: dict[str, Value] = {}
        self._conditions: dict[str, bool | None] = {}
        self._outputs: dict[str, Value] = {}
        self._repositories: dict[str, Value] = {}

    # What it holds

    def exists(self, resource: Resource) -> bool:
        """Whether a resource may be created: its condition is not known to be false."""
        return not resource.condition or self.holds(resource.condition) is not False

    def output(self, name: str, place: Span) -> Value:
        """An output as another stack sees it."""
        found = self._outputs.get(name)
        if found is None:
            fields = self.template.outputs.get(name)
            node = fields.get("Value") if fields is not None else None
            if node is None:
                return Value(Lost(f"{self.template.source.file} has no output {name}"), place)
            self._outputs[name] = Value(Lost(f"the output {name} depends on itself"), place)
            found = self._outputs[name] = self.value(node)
        return found

    # Expressions

    def value(self, node: Node | None) -> Value:
        """What an expression is worth; None (no node) is worth nothing, at the top of the file."""
        if node is None:
            return Value(None, self.template.source.span(0, 0))
        if self._around.depth >= _DEEPEST:
            return Value(Lost("the expression is nested too deeply"), node.span)
        self._around.depth += 1
        try:
            function = _function(node)
            if function is not None:
                return self._apply(*function, node.span)
            return self._plain(node)
        finally:
            self._around.depth -= 1

    def _plain(self, node: Node) -> Value:
        match node:
            case Scalar():
                if node.value is None:
                    return Value(None, node.span)
                if "{{resolve:" in node.text:
                    pattern = re.sub(r"\{\{resolve:[^}]*\}\}", "*", node.text)
                    return Value(
                        Lost("it is looked up when it is deployed ({{resolve:…}})", pattern), node.span
                    )
                text = str(node.value).lower() if isinstance(node.value, bool) else node.text
                return Value(text, node.span, node.value_span or node.span)
            case Items():
                found = [self.value(item) for item in node]
                return Value(Many(tuple(one for one in found if one.data is not None), node), node.span)
            case Fields():
                return Value(Parts(node, self), node.span)

    def _apply(self, name: str, argument: Node, place: Span) -> Value:
        handler = _FUNCTIONS.get(name)
        if handler is None:
            return Value(Lost(f"{name} is computed when it is deployed"), place)
        return handler(self, argument, place)

    def _lost(self, place: Span, reason: str, pattern: str = "*") -> Value:
        return Value(Lost(reason, pattern if len(pattern) <= _LONGEST else "*"), place)

    def named(self, name: str, place: Span) -> Value:
        """`Ref`."""
        if name == "AWS::NoValue":
            return Value(None, place)
        if name.startswith("AWS::"):
            return self._lost(place, f"{name} is known when it is deployed")
        if name in self.template.resources:
            return self._resource(self.template.resources[name], "", place)
        if name in self.template.parameters:
            found = self._parameters.get(name)
            if found is None:
                found = self._parameters[name] = self._parameter(name, self.template.parameters[name])
            return replace(found, place=place)
        return self._lost(
            place, f"{name} is neither a parameter nor a resource of {self.template.source.file}"
        )

    def _resource(self, resource: Resource, attribute: str, place: Span) -> Value:
        if resource.kind == _REPOSITORY and attribute in ("", "RepositoryUri"):
            repository = self._repository(resource)
            name = pattern_of(repository) or "*"
            if not attribute and isinstance(repository.data, str):
                return Value(name, place)
            uri = f"*.dkr.ecr.*.amazonaws.com/{name}" if attribute else name
            return self._lost(place, "the address of a repository is known when it is deployed", uri)
        if resource.kind == _STACK and attribute.startswith("Outputs."):
            child = self._around.child(self, resource)
            if child is None:
                return self._lost(place, f"the template of {resource.name} is not in the given folders")
            output = attribute.removeprefix("Outputs.")
            found = child.output(output, place)
            step = Step(found.place, f"output {output} of {resource.name}")
            return replace(found, place=place, literal=None, trail=(step, *found.trail))
        return Value(Reference(f"{self.prefix}{resource.name}", resource.kind, attribute), place)

    def _repository(self, resource: Resource) -> Value:
        if resource.name not in self._repositories:
            # Once, and not through itself: names may be made of other names.
            self._repositories[resource.name] = Value(Lost("it is named after itself"), resource.place)
            name = self.value(resource.fields.get("Properties", "RepositoryName"))
            self._repositories[resource.name] = name
        return self._repositories[resource.name]

    def _attribute(self, argument: Node, place: Span) -> Value:
        if isinstance(argument, Items):
            pieces = [text_of(self.value(item)) for item in argument]
        else:
            pieces = [argument.text] if isinstance(argument, Scalar) else [None]
        written = ".".join(piece or "*" for piece in pieces)
        name, _, attribute = written.partition(".")
        resource = self.template.resources.get(name)
        if resource is None:
            return self._lost(place, f"{name} is no resource of {self.template.source.file}")
        return self._resource(resource, attribute, place)

    def _ref(self, argument: Node, place: Span) -> Value:
        name = argument.text if isinstance(argument, Scalar) else text_of(self.value(argument))
        return self.named(name, place) if name else self._lost(place, "Ref names nothing that is known")

    # Parameters

    def _parameter(self, name: str, declared: Fields) -> Value:
        kind = declared.text("Type") or "String"
        place = declared.span
        hidden = declared.scalar("NoEcho")
        if hidden is not None and hidden.text.lower() == "true":
            return self._lost(place, f"parameter {name} is NoEcho, so it is never read")
        if kind.startswith("AWS::SSM::"):
            return self._lost(place, f"parameter {name} is looked up in the parameter store")
        free = not any(declared.key(bound) is not None for bound in _BOUNDS)
        found = self._passed.get(name) if self._passed is not None else self._around.given(self, name)
        if found is None:
            default = declared.scalar("Default")
            if default is None:
                supply = (
                    "" if self._passed is not None else "; a parameter file beside the template gives one"
                )
                return self._lost(place, f"parameter {name} has no Default{supply}")
            step = Step(default.value_span or default.span, f"Default of parameter {name}")
            literal = (default.value_span or default.span) if free else None
            found = Value(default.text, default.span, literal, (step,))
        elif not free:
            found = replace(found, literal=None)
        if (kind == "CommaDelimitedList" or kind.startswith("List<")) and isinstance(found.data, str):
            pieces = [piece.strip() for piece in found.data.split(",")]
            items = tuple(replace(found, data=piece, literal=None) for piece in pieces)
            return replace(found, data=Many(items), literal=None)
        return found

    # Conditions

    def holds(self, name: str) -> bool | None:
        """Whether a condition of the template holds; None where only a deploy decides."""
        if name not in self._conditions:
            self._conditions[name] = None  # also of one that depends on itself
            node = self.template.conditions.get(name)
            self._conditions[name] = self._truth(node) if node is not None else None
        return self._conditions[name]

    def _truth(self, node: Node) -> bool | None:
        if self._around.depth >= _DEEPEST:
            return None
        self._around.depth += 1
        try:
            function = _function(node)
            if function is None and isinstance(node, Fields) and node.names == ("Condition",):
                function = "Condition", node.entries[0][1]
            if function is None:
                return None
            name, argument = function
            if name == "Condition":
                return self.holds(argument.text) if isinstance(argument, Scalar) else None
            given = argument.items if isinstance(argument, Items) else ()
            if name == "Fn::Equals" and len(given) == 2:
                left, right = (self.value(one).data for one in given)
                return left == right if isinstance(left, str) and isinstance(right, str) else None
            return _joined(name, [self._truth(one) for one in given])
        finally:
            self._around.depth -= 1

    def _if(self, argument: Node, place: Span) -> Value:
        given = argument.items if isinstance(argument, Items) else ()
        if len(given) != 3 or not isinstance(given[0], Scalar):
            return self._lost(place, "its Fn::If is not complete")
        name = given[0].text
        decided = self.holds(name)
        if decided is None:
            return Value(Either(name, (self.value(given[1]), self.value(given[2]))), place)
        found = self.value(given[1] if decided else given[2])
        step = Step(given[0].span, f"condition {name} {'holds' if decided else 'does not hold'}")
        # NoValue is absent here; a value keeps its own place.
        return replace(found, trail=(step, *found.trail)) if found.data is not None else Value(None, place)

    # Texts and lists

    def _sub(self, argument: Node, place: Span) -> Value:
        text, variables = argument, None
        if isinstance(argument, Items) and argument.items:
            text = argument.items[0]
            variables = argument.items[1] if len(argument.items) > 1 else None
        if not isinstance(text, Scalar):
            return self._lost(place, "its Fn::Sub has no text")
        own: dict[str, Value] = {}
        if isinstance(variables, Fields):
            own = {key.text: self.value(node) for key, node in variables.entries}
        # The text itself, which may hold a dynamic reference.
        whole = self._plain(replace(text, tag="", plain=False))
        if _VARIABLE.search(text.text) is None:
            if isinstance(whole.data, str) and "${!" in whole.data:
                return replace(whole, data=_ESCAPED.sub(r"${\1}", whole.data), literal=None, place=place)
            return replace(whole, place=place)
        alone = _VARIABLE.fullmatch(text.text.strip())
        if alone is not None:
            return replace(self._variable(alone[1].strip(), own, text), place=place)
        reason = reason_of(whole)

        def piece(match: re.Match[str]) -> str:
            nonlocal reason
            found = self._variable(match[1].strip(), own, text)
            if not isinstance(found.data, str):
                reason = reason or reason_of(found) or "a piece of its text is unknown"
            return pattern_of(found) or ""

        full = _ESCAPED.sub(r"${\1}", _VARIABLE.sub(piece, pattern_of(whole) or ""))
        return self._text(full, reason, place)

    def _variable(self, name: str, own: Mapping[str, Value], text: Scalar) -> Value:
        if name in own:
            return own[name]
        if "." in name:
            return self._attribute(Scalar(name, text.span, None), text.span)
        return self.named(name, text.span)

    def _text(self, full: str, reason: str, place: Span) -> Value:
        if len(full) > _LONGEST:
            return self._lost(place, "its text is longer than any setting")
        return self._lost(place, reason, full) if reason else Value(full, place)

    def _join(self, argument: Node, place: Span) -> Value:
        given = argument.items if isinstance(argument, Items) else ()
        between = text_of(self.value(given[0])) if len(given) == 2 else None
        if len(given) == 2 and isinstance(given[0], Scalar) and given[0].value is None:
            between = ""
        listed = self.value(given[1]).data if len(given) == 2 else None
        if between is None or not isinstance(listed, Many):
            return self._lost(place, "the pieces of its text are not known")
        reason = next((reason_of(one) or "a piece of its text is unknown" for one in listed.items
                       if not isinstance(one.data, str)), "")  # fmt: skip
        return self._text(between.join(pattern_of(one) or "" for one in listed.items), reason, place)

    def _split(self, argument: Node, place: Span) -> Value:
        given = [self.value(item) for item in argument] if isinstance(argument, Items) else []
        between, text = (text_of(one) for one in given) if len(given) == 2 else (None, None)
        if not between or text is None:
            return self._lost(
                place, reason_of(given[1]) if len(given) == 2 else "its Fn::Split is not complete"
            )
        return Value(Many(tuple(Value(piece, place) for piece in text.split(between))), place)

    def _select(self, argument: Node, place: Span) -> Value:
        given = [self.value(item) for item in argument] if isinstance(argument, Items) else []
        index = text_of(given[0]) if len(given) == 2 else None
        listed = given[1].data if len(given) == 2 else None
        if index is None or not index.isdigit() or len(index) > 6 or not isinstance(listed, Many):
            return self._lost(place, "which piece of a list it is, is not known")
        if int(index) >= len(listed.items):
            return self._lost(place, f"its list has no piece {index}")
        return listed.items[int(index)]

    def _find(self, argument: Node, place: Span) -> Value:
        names = [self.value(item) for item in argument] if isinstance(argument, Items) else []
        keys = [text_of(one) for one in names[:3]]
        mapping = (
            self.template.mappings.fields(keys[0]) if self.template.mappings and keys and keys[0] else None
        )
        if len(keys) < 3 or mapping is None or keys[2] is None:
            return self._lost(place, "which entry of a mapping it is, is not known")
        if keys[1] is None:
            # Where all entries say the same, it makes no difference which one is meant.
            found = [mapping.text(top, keys[2]) for top in mapping.names]
            if found and found[0] is not None and len(set(found)) == 1:
                return Value(found[0], place)
            return self._lost(
                place, f"which entry of mapping {keys[0]} counts is not known: {reason_of(names[1])}"
            )
        node = mapping.get(keys[1], keys[2])
        if node is None:
            return self._lost(place, f"mapping {keys[0]} has no {keys[1]}.{keys[2]}")
        # A mapping holds literals only: a function in it would be refused, and could stand for many others.
        if isinstance(node, Items) and all(isinstance(one, Scalar) for one in node):
            held = Value(Many(tuple(self._plain(one) for one in node), node), node.span)
        elif isinstance(node, Scalar):
            held = self._plain(node)
        else:
            return self._lost(place, f"mapping {keys[0]} holds no literal there")
        step = Step(node.span, f"mapping {keys[0]}.{keys[1]}.{keys[2]}")
        return replace(held, place=place, trail=(*names[1].trail, step, *held.trail))

    def _import(self, argument: Node, place: Span) -> Value:
        return replace(self._around.exported(self, self.value(argument)), place=place)


def _function(node: Node) -> tuple[str, Node] | None:
    """The intrinsic function that a node calls, by its long name, and what it is given."""
    if node.tag.startswith("!") and len(node.tag) > 1:
        name = node.tag[1:]
        return (name if name in ("Ref", "Condition") else f"Fn::{name}"), replace(node, tag="")
    if isinstance(node, Fields) and len(node.entries) == 1:
        name = node.entries[0][0].text
        if name == "Ref" or name.startswith("Fn::"):
            return name, node.entries[0][1]
    return None


def _joined(name: str, given: list[bool | None]) -> bool | None:
    """What And, Or and Not make of conditions, some of which may be open."""
    match name:
        case "Fn::Not" if len(given) == 1:
            return None if given[0] is None else not given[0]
        case "Fn::And":
            return False if False in given else None if None in given else True
        case "Fn::Or":
            return True if True in given else None if None in given else False
        case _:
            return None


_FUNCTIONS: Final[Mapping[str, Callable[[Scope, Node, Span], Value]]] = {
    "Ref": Scope._ref,
    "Fn::GetAtt": Scope._attribute,
    "Fn::Sub": Scope._sub,
    "Fn::If": Scope._if,
    "Fn::Join": Scope._join,
    "Fn::Split": Scope._split,
    "Fn::Select": Scope._select,
    "Fn::FindInMap": Scope._find,
    "Fn::ImportValue": Scope._import,
}
