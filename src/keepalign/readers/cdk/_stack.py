"""The constructs of one file, followed in the order of its statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from keepalign.model.source import SourceText
from keepalign.readers._reader import Note
from keepalign.readers.cdk._constructs import (
    Balancer,
    Construct,
    ContainerMade,
    Forward,
    Group,
    Listener,
    OriginMade,
    Pattern,
    ServiceMade,
    Task,
)
from keepalign.readers.cdk._expr import (
    Call,
    Expr,
    Listed,
    Member,
    Name,
    Options,
    Statement,
    Stretch,
    fields_of,
    last_name,
)
from keepalign.readers.cdk._values import Values

_DEEPEST: Final = 40
_BALANCERS: Final = {
    "ApplicationLoadBalancer": "application", "NetworkLoadBalancer": "network",
}  # fmt: skip
_GROUPS: Final = ("ApplicationTargetGroup", "NetworkTargetGroup")
_LISTENERS: Final = ("ApplicationListener", "NetworkListener")
_TASKS: Final = ("FargateTaskDefinition", "Ec2TaskDefinition", "TaskDefinition", "ExternalTaskDefinition")
_SERVICES: Final = ("FargateService", "Ec2Service")
_PATTERNS: Final = {
    "ApplicationLoadBalancedFargateService": "application",
    "ApplicationLoadBalancedEc2Service": "application",
    "NetworkLoadBalancedFargateService": "network",
    "NetworkLoadBalancedEc2Service": "network",
}
_UNREAD: Final = (
    "ApplicationMultipleTargetGroupsFargateService", "ApplicationMultipleTargetGroupsEc2Service",
    "NetworkMultipleTargetGroupsFargateService", "NetworkMultipleTargetGroupsEc2Service",
)  # fmt: skip
_ORIGINS: Final = ("LoadBalancerV2Origin", "HttpOrigin")


class Stack:
    """The constructs so far. `constructs`: in order, with those that patterns make."""

    def __init__(self, source: SourceText) -> None:
        self.values = Values(source)
        self.constructs: list[Construct] = []
        self.notes: list[Note] = []
        self._variables: dict[str, Construct] = {}
        self._made: dict[Stretch, Construct | None] = {}
        self._addresses: set[str] = set()
        self._statement: Statement | None = None
        self._depth = 0

    def take(self, statement: Statement) -> None:
        """One statement: whatever it makes is kept under its variable."""
        self._statement = statement
        made = self.meaning(statement.value)
        self._statement = None
        if statement.target:
            self.values.assign(statement)
            if made is not None:
                self._variables[statement.target] = made
            else:
                self._variables.pop(statement.target, None)

    def meaning(self, expr: Expr | None) -> Construct | None:
        """The construct that an expression stands for; None when it is none that is known."""
        if expr is None or self._depth > _DEEPEST:
            return None
        self._depth += 1
        try:
            match expr:
                case Name():
                    return self._variables.get(expr.name)
                case Member():
                    return _part(self.meaning(expr.of), expr.name)
                case Call():
                    if expr.at not in self._made:
                        self._made[expr.at] = None
                        self._made[expr.at] = self._call(expr)
                    return self._made[expr.at]
                case _:
                    return None
        finally:
            self._depth -= 1

    def _call(self, call: Call) -> Construct | None:
        name = last_name(call.function)
        held = self.meaning(call.function.of) if isinstance(call.function, Member) else None
        if held is not None:
            method = _METHODS.get(name)
            return method(self, held, call) if method is not None else None
        maker = _MAKERS.get(name)
        if maker is not None:
            return maker(self, name, call)
        if name == "addTargets":
            # The listener comes from elsewhere; what it forwards to is here.
            return self._targets(None, call)
        if name == "addTarget":
            # So does the group that a service is put into.
            for one in call.arguments:
                service = self.meaning(one)
                if isinstance(service, ServiceMade):
                    service.elsewhere.append(one)
            return None
        # `Tags.of(lb).add(…)`, a helper that is given a construct: what stands in it counts all the same.
        for one in call.arguments:
            self.meaning(one)
        return None

    # What calls make

    def _address(self, call: Call, fallback: str) -> str:
        """The construct's id, as it stands behind the scope: made unique."""
        given = call.arguments[1] if len(call.arguments) > 1 else None
        options = call.options.entries if call.options is not None else {}
        address = self.values.text(given) or self.values.text(options.get("id")) or fallback
        return self._unique(address)

    def _unique(self, address: str) -> str:
        while address in self._addresses:
            address += "'"
        self._addresses.add(address)
        return address

    def _own(self, call: Call) -> Statement | None:
        """The statement, where the call is all that it holds."""
        statement = self._statement
        return statement if statement is not None and statement.value.at == call.at else None

    def _balancer(self, name: str, call: Call) -> Construct:
        made = Balancer(self._address(call, name), call.at, call, call.options, self._own(call))
        made.kind = _BALANCERS[name]
        self.constructs.append(made)
        return made

    def _group(self, name: str, call: Call) -> Construct:
        made = Group(self._address(call, name), call.at, call, call.options, self._own(call))
        self._fill(made)
        return made

    def _fill(self, made: Group) -> None:
        entries = made.options.entries if made.options is not None else {}
        made.targets += [(one, self.meaning(one)) for one in _items(self.values, entries.get("targets"))]
        made.health = self._object(entries.get("healthCheck"))
        self.constructs.append(made)

    def _object(self, expr: Expr | None) -> Options | None:
        return fields_of(self.values.found(expr).expr) if expr is not None else None

    def _listener(self, name: str, call: Call) -> Construct:
        entries = call.options.entries if call.options is not None else {}
        held = self.meaning(entries.get("loadBalancer"))
        return self._listening(held if isinstance(held, Balancer) else None, call, self._address(call, name))

    def _listening(self, balancer: Balancer | None, call: Call, address: str) -> Listener:
        made = Listener(address, call.at, call, call.options, self._own(call), balancer=balancer)
        entries = call.options.entries if call.options is not None else {}
        groups, unknown = self._groups(entries.get("defaultTargetGroups"))
        acted, further = self._action(entries.get("defaultAction"))
        if groups or acted or unknown or further:
            made.forwards.append(Forward(call.at, [*groups, *acted], None, unknown or further))
        self.constructs.append(made)
        return made

    def _groups(self, expr: Expr | None) -> tuple[list[Group], bool]:
        """Target groups of a list, and whether there may be another."""
        if expr is None:
            return [], False
        items = _items(self.values, expr)
        found = [self.meaning(one) for one in items]
        groups = [one for one in found if isinstance(one, Group)]
        return groups, len(groups) < max(len(found), 1)

    def _action(self, expr: Expr | None) -> tuple[list[Group], bool]:
        """What `ListenerAction.forward([…])` forwards to."""
        held = self.values.found(expr).expr if expr is not None else None
        if not isinstance(held, Call):
            return [], held is not None
        name = last_name(held.function)
        if name == "forward":
            named = held.options.entries.get("targetGroups") if held.options is not None else None
            return self._groups(held.arguments[0] if held.arguments else named)
        if name in ("redirect", "fixedResponse"):
            return [], False
        return [], True

    def _rule(self, _name: str, call: Call) -> None:
        """`new ApplicationListenerRule(…)`."""
        entries = call.options.entries if call.options is not None else {}
        listener = self.meaning(entries.get("listener"))
        groups, unknown = self._groups(entries.get("targetGroups"))
        acted, further = self._action(entries.get("action"))
        if isinstance(listener, Listener):
            forward = Forward(call.at, [*groups, *acted], call.options, unknown or further)
            listener.forwards.append(forward)

    def _task(self, name: str, call: Call) -> Construct:
        made = Task(self._address(call, name), call.at, call, call.options, self._own(call))
        self.constructs.append(made)
        return made

    def _service(self, name: str, call: Call) -> Construct:
        entries = call.options.entries if call.options is not None else {}
        task = self.meaning(entries.get("taskDefinition"))
        made = ServiceMade(self._address(call, name), call.at, call, call.options, self._own(call))
        made.task = task if isinstance(task, Task) else None
        self.constructs.append(made)
        return made

    def _pattern(self, name: str, call: Call) -> Construct:
        """What `aws-ecs-patterns` makes of one call."""
        entries = call.options.entries if call.options is not None else {}
        address = self._address(call, name)
        statement = self._own(call)
        made = Pattern(address, call.at, call, call.options, statement)

        def part(what: str) -> tuple[str, Stretch, Call | None, Options | None, Statement | None, str]:
            return self._unique(f"{address}.{what}"), call.at, None, call.options, statement, f".{what}"

        given = entries.get("loadBalancer")
        held = self.meaning(given)
        if isinstance(held, Balancer):
            made.balancer = held
        elif given is None:
            made.balancer = Balancer(*part("loadBalancer"))
            made.balancer.kind = _PATTERNS[name]
            made.balancer.call = call
            self.constructs.append(made.balancer)
        made.group = Group(*part("targetGroup"))
        made.listener = Listener(*part("listener"), balancer=made.balancer)
        made.listener.forwards.append(Forward(call.at, [made.group], None))
        made.service = ServiceMade(*part("service"))
        made.service.call = call
        made.service.groups.append((made.group, None))
        task = self.meaning(entries.get("taskDefinition"))
        image = self._object(entries.get("taskImageOptions"))
        if isinstance(task, Task):
            made.service.task = task
        elif image is not None:
            made.service.task = Task(*part("taskDefinition"))
            container = ContainerMade(f"{address}.container", image.at, None, image, pattern=True)
            made.service.task.containers.append(container)
            self.constructs.append(made.service.task)
        self.constructs += [made.listener, made.group, made.service]
        return made

    def _unread(self, name: str, call: Call) -> None:
        self.notes.append(Note(self.values.span((call.at[0], call.at[0])), f"{name} is not read"))

    def _origin(self, name: str, call: Call) -> Construct:
        held = self.meaning(call.arguments[0]) if call.arguments else None
        made = OriginMade(self._unique(name), call.at, call, call.options)
        made.balancer = held if isinstance(held, Balancer) else None
        self.constructs.append(made)
        return made

    def _distribution(self, name: str, call: Call) -> None:
        """Its origins stand in its behaviours."""
        waiting: list[Expr] = list(call.options.entries.values()) if call.options is not None else []
        for _ in range(200):
            if not waiting:
                break
            one = self.values.found(waiting.pop()).expr
            if isinstance(one, Options):
                waiting += one.entries.values()
            elif isinstance(one, Call):
                self.meaning(one)
                waiting += one.options.entries.values() if last_name(one.function) == "BehaviorOptions" and (
                    one.options is not None
                ) else ()  # fmt: skip

    # What methods add

    def _add_listener(self, held: Construct, call: Call) -> Construct | None:
        if not isinstance(held, Balancer):
            return None
        given = call.arguments[0] if call.arguments else None
        address = self._unique(f"{held.address}.{self.values.text(given) or 'listener'}")
        return self._listening(held, call, address)

    def _add_targets(self, held: Construct, call: Call) -> Construct | None:
        return self._targets(held if isinstance(held, Listener) else None, call)

    def _targets(self, listener: Listener | None, call: Call) -> Group:
        """`listener.addTargets(id, …)` makes a target group."""
        given = call.arguments[0] if call.arguments else None
        before = f"{listener.address}." if listener is not None else ""
        address = self._unique(f"{before}{self.values.text(given) or 'targets'}")
        group = Group(address, call.at, call, call.options, self._own(call))
        self._fill(group)
        if listener is not None:
            listener.forwards.append(Forward(call.at, [group], call.options))
        return group

    def _add_groups(self, held: Construct, call: Call) -> None:
        if isinstance(held, Listener):
            entries = call.options.entries if call.options is not None else {}
            groups, unknown = self._groups(entries.get("targetGroups"))
            held.forwards.append(Forward(call.at, groups, call.options, unknown))

    def _add_action(self, held: Construct, call: Call) -> None:
        if isinstance(held, Listener):
            entries = call.options.entries if call.options is not None else {}
            groups, unknown = self._action(entries.get("action"))
            held.forwards.append(Forward(call.at, groups, call.options, unknown))

    def _add_container(self, held: Construct, call: Call) -> Construct | None:
        if not isinstance(held, Task):
            return None
        given = call.arguments[0] if call.arguments else None
        made = ContainerMade(self.values.pattern(given) or "*", call.at, call, call.options, self._own(call))
        held.containers.append(made)
        return made

    def _add_ports(self, held: Construct, call: Call) -> Construct:
        if isinstance(held, ContainerMade):
            held.ports += [*call.arguments, *([call.options] if call.options is not None else [])]
        return held

    def _add_needs(self, held: Construct, call: Call) -> Construct:
        if isinstance(held, ContainerMade):
            for one in (*call.arguments, call.options):
                fields = self._object(one)
                other = self.meaning(fields.entries.get("container")) if fields is not None else None
                if isinstance(other, ContainerMade):
                    held.needs.append(other)
        return held

    def _add_target(self, held: Construct, call: Call) -> Construct:
        if isinstance(held, Group):
            held.targets += [(one, self.meaning(one)) for one in call.arguments]
        return held

    def _attach(self, held: Construct, call: Call) -> None:
        group = self.meaning(call.arguments[0]) if call.arguments else None
        if isinstance(held, ServiceMade) and isinstance(group, Group):
            held.groups.append((group, None))

    def _register(self, held: Construct, call: Call) -> None:
        """`service.registerLoadBalancerTargets({listener: ListenerConfig.applicationListener(l, …)})`."""
        for one in (*call.arguments, call.options):
            entry = self._object(one)
            config = (
                self.values.found(entry.entries["listener"]).expr
                if entry and "listener" in entry.entries
                else None
            )
            if not isinstance(held, ServiceMade) or not isinstance(config, Call) or entry is None:
                continue
            listener = self.meaning(config.arguments[0]) if config.arguments else None
            name = self.values.text(entry.entries.get("newTargetGroupId")) or "targets"
            before = f"{listener.address}." if isinstance(listener, Listener) else ""
            group = Group(self._unique(f"{before}{name}"), config.at, config, config.options)
            self._fill(group)
            held.groups.append((group, entry))
            if isinstance(listener, Listener):
                listener.forwards.append(Forward(config.at, [group], config.options))

    def _set(self, held: Construct, call: Call) -> Construct:
        """`setAttribute(key, value)`."""
        named = call.options.entries if call.options is not None else {}
        given = [*call.arguments, *(named[one] for one in ("key", "value") if one in named)]
        key = self.values.text(given[0]) if len(given) == 2 else None
        if key is not None:
            held.attributes[key] = given[1]
        return held

    def _check(self, held: Construct, call: Call) -> None:
        if isinstance(held, Group) and call.options is not None:
            held.health = call.options

    def _target(self, held: Construct, call: Call) -> Construct:
        """`service.loadBalancerTarget({…})` still is the service, as `scaleOnCpu` and the like are none."""
        return held


_MAKERS: Final[Mapping[str, Callable[[Stack, str, Call], Construct | None]]] = {
    **dict.fromkeys(_BALANCERS, Stack._balancer),
    **dict.fromkeys(_GROUPS, Stack._group),
    **dict.fromkeys(_LISTENERS, Stack._listener),
    **dict.fromkeys(_TASKS, Stack._task),
    **dict.fromkeys(_SERVICES, Stack._service),
    **dict.fromkeys(_PATTERNS, Stack._pattern),
    **dict.fromkeys(_ORIGINS, Stack._origin),
    **dict.fromkeys(_UNREAD, Stack._unread),
    "ApplicationListenerRule": Stack._rule,
    "Distribution": Stack._distribution,
}
_METHODS: Final[Mapping[str, Callable[[Stack, Construct, Call], Construct | None]]] = {
    "addAction": Stack._add_action,
    "addContainer": Stack._add_container,
    "addContainerDependencies": Stack._add_needs,
    "addListener": Stack._add_listener,
    "addPortMappings": Stack._add_ports,
    "addTarget": Stack._add_target,
    "addTargetGroups": Stack._add_groups,
    "addTargets": Stack._add_targets,
    "attachToApplicationTargetGroup": Stack._attach,
    "attachToNetworkTargetGroup": Stack._attach,
    "configureHealthCheck": Stack._check,
    "loadBalancerTarget": Stack._target,
    "registerLoadBalancerTargets": Stack._register,
    "setAttribute": Stack._set,
}


def _part(held: Construct | None, name: str) -> Construct | None:
    """A property of a construct that is a construct."""
    match held, name:
        case Pattern(), "loadBalancer":
            return held.balancer
        case Pattern(), "listener":
            return held.listener
        case Pattern(), "targetGroup":
            return held.group
        case Pattern(), "service":
            return held.service
        case Pattern(), "taskDefinition":
            return held.service.task if held.service is not None else None
        case ServiceMade(), "taskDefinition":
            return held.task
        case Task(), "defaultContainer":
            return held.containers[0] if held.containers else None
        case _:
            return None


def _items(values: Values, expr: Expr | None) -> list[Expr]:
    """The elements of a list; what is none is its own only one."""
    if expr is None:
        return []
    held = values.found(expr).expr
    return list(held.items) if isinstance(held, Listed) else [expr]
