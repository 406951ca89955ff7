"""Resource blocks to the dataclasses of `fragment`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from keepalign.model.setting import Default, Disabled, Unknown
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers._aws import (
    AwsFragment,
    Distribution,
    DistributionOrigin,
    Listener,
    ListenerRule,
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
)
from keepalign.readers._reader import Absent, Note, Read
from keepalign.readers.terraform.blocks import Arguments, references, section, text_or_none
from keepalign.readers.terraform.containers import containers
from keepalign.readers.terraform.listener_rules import listener_rule
from keepalign.readers.terraform.module import Module
from keepalign.readers.terraform.relocation import relocated
from keepalign.readers.terraform.structure import Block
from keepalign.readers.terraform.values import Deferred, Value, unresolved_of
from keepalign.units import Duration

_LOAD_BALANCERS = ("aws_lb", "aws_alb")
_LISTENERS = ("aws_lb_listener", "aws_alb_listener")
_RULES = ("aws_lb_listener_rule", "aws_alb_listener_rule")
_TARGET_GROUPS = ("aws_lb_target_group", "aws_alb_target_group")
_TASKS = ("aws_ecs_task_definition",)
_SERVICES = ("aws_ecs_service",)
_CLASSIC = ("aws_elb",)
_RECORDS = ("aws_route53_record",)
# Most records and distributions have nothing to do with a balancer, and how many they are is of no interest.
_ONLY_WITH = {"aws_route53_record": b"alias", "aws_cloudfront_distribution": b"custom_origin_config"}
_DRAINING_PAGE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/config-conn-drain.html"
_DISTRIBUTIONS = ("aws_cloudfront_distribution",)


class Collector:
    """Gathers what the module and its children declare, or a plan plans."""

    def __init__(self) -> None:
        self.balancers: list[LoadBalancer] = []
        self.listeners: list[Listener] = []
        self.target_groups: list[TargetGroup] = []
        self.tasks: list[TaskDefinition] = []
        self.services: list[tuple[Service, str | None]] = []
        self.distributions: list[Distribution] = []
        self.records: dict[str, str] = {}
        self.rules: list[tuple[str | None, ListenerRule, list[Note]]] = []

    def module(self, module: Module) -> None:
        """All resources of `module`, then those of its children."""
        for labels, block in module.declared.of_type("resource"):
            if len(labels) != 2:
                continue
            handler = HANDLERS.get(labels[0])
            if handler is None or not _matters(labels[0], block):
                continue
            for instance in module.instances(block, ".".join(labels)):
                handler(self, section(module, block, instance), module.prefix + instance.address)
        for labels, block in module.declared.of_type("module"):
            for _, child in (module.children(labels[0], block) if labels else None) or ():
                self.module(child)

    def holds(self, address: str) -> bool:
        """Whether the resource or module of this address is part of a request path, or has one that is."""
        found = [one.address for one in self.balancers] + [one.address for one in self.listeners]
        found += [one.address for one in self.target_groups] + [one.address for one in self.tasks]
        found += [service.address for service, _ in self.services]
        found += [rule.address for _, rule, _ in self.rules]
        found += [one.address for one in self.distributions]
        return any(one.startswith(f"{address}[") for one in found)

    def load_balancer(self, lb: Arguments, address: str) -> None:
        kind = lb.value("load_balancer_type")
        self.balancers.append(
            LoadBalancer(
                address=address,
                place=lb.place,
                name=lb.text("name"),
                kind="application"
                if kind is None or kind.data is None
                else lb.text("load_balancer_type") or "*",
                idle_timeout=lb.seconds("idle_timeout"),
                client_keep_alive=lb.seconds("client_keep_alive"),
            )
        )

    def listener(self, listener: Arguments, address: str) -> None:
        groups, unknown = _forwards(listener, "default_action")
        self.listeners.append(
            Listener(
                address=address,
                place=listener.place,
                load_balancer=_address(listener.value("load_balancer_arn"), _LOAD_BALANCERS),
                target_groups=groups,
                port=listener.number("port"),
                protocol=listener.text("protocol"),
                default_groups=groups,
                unknown_target=unknown,
                tcp_idle_timeout=listener.seconds("tcp_idle_timeout_seconds"),
            )
        )

    def classic(self, elb: Arguments, address: str) -> None:
        """`aws_elb`, with a listener and a target group that stand for its own."""
        self.balancers.append(
            LoadBalancer(
                address=address,
                place=elb.place,
                name=elb.text("name"),
                kind="classic",
                idle_timeout=elb.seconds("idle_timeout"),
                client_keep_alive=Absent("client_keep_alive"),
            )
        )
        for one in elb.sections("listener"):
            self.listeners.append(
                Listener(
                    address=address,
                    place=one.place,
                    load_balancer=address,
                    target_groups=(address,),
                    port=one.number("lb_port"),
                    protocol=one.text("lb_protocol"),
                    default_groups=(address,),
                )
            )
        check = next(elb.sections("health_check"), elb)
        self.target_groups.append(
            TargetGroup(
                address=address,
                place=elb.place,
                name=elb.text("name"),
                port=None,
                deregistration_delay=_draining(elb),
                health_path=None,
                health_interval=check.seconds("interval", "health_check.interval"),
                health_timeout=check.seconds("timeout", "health_check.timeout"),
                healthy_threshold=check.number("healthy_threshold"),
                unhealthy_threshold=check.number("unhealthy_threshold"),
                matcher=None,
            )
        )

    def distribution(self, distribution: Arguments, address: str) -> None:
        origins = []
        for origin in distribution.sections("origin"):
            custom = next(origin.sections("custom_origin_config"), None)
            if custom is None or origin.unknown:
                continue
            value = origin.value("domain_name")
            origins.append(
                DistributionOrigin(
                    origin_id=origin.text("origin_id"),
                    place=origin.place,
                    domain=text_or_none(value),
                    load_balancer=_address(value, (*_LOAD_BALANCERS, *_CLASSIC)) or _address(value, _RECORDS),
                    read_timeout=custom.seconds("origin_read_timeout"),
                    keepalive_timeout=custom.seconds("origin_keepalive_timeout"),
                    connection_timeout=origin.seconds("connection_timeout"),
                    connection_attempts=origin.number("connection_attempts"),
                )
            )
        self.distributions.append(Distribution(address, distribution.place, tuple(origins)))

    def record(self, record: Arguments, address: str) -> None:
        """A name that a balancer has; origins of distributions are called by names for their certificates."""
        alias = next(record.sections("alias"), None)
        balancer = _address(alias.value("name"), (*_LOAD_BALANCERS, *_CLASSIC)) if alias is not None else None
        if balancer is not None:
            self.records[address] = balancer
            name = record.text("name")
            if name:
                self.records.setdefault(name.rstrip("."), balancer)

    def rule(self, rule: Arguments, address: str) -> None:
        listener = _address(rule.value("listener_arn"), _LISTENERS)
        self.rules.append((listener, *listener_rule(rule, address, *_forwards(rule, "action"))))

    def target_group(self, group: Arguments, address: str) -> None:
        check = next(group.sections("health_check"), None)

        def seconds(name: str) -> Read:
            option = f"health_check.{name}"
            return Absent(option) if check is None else check.seconds(name, option)

        known = check if check is not None and not check.unknown else None
        self.target_groups.append(
            TargetGroup(
                address=address,
                place=group.place,
                name=group.text("name"),
                port=group.number("port"),
                deregistration_delay=group.seconds("deregistration_delay"),
                health_path=known.text("path") if known else None,
                health_interval=seconds("interval"),
                health_timeout=seconds("timeout"),
                healthy_threshold=known.number("healthy_threshold") if known else None,
                unhealthy_threshold=known.number("unhealthy_threshold") if known else None,
                matcher=known.text("matcher") if known else None,
            )
        )

    def task(self, task: Arguments, address: str) -> None:
        found = containers(task, address)
        self.tasks.append(
            TaskDefinition(address=address, place=task.place, family=task.text("family"), containers=found)
        )

    def service(self, service: Arguments, address: str) -> None:
        targets = []
        for block in service.sections("load_balancer"):
            if block.unknown:
                continue
            # A classic load balancer is given by its name, and stands for its own target group.
            group, elb = _address(block.value("target_group_arn"), _TARGET_GROUPS), block.value("elb_name")
            targets.append(
                ServiceTarget(
                    target_group=group or _address(elb, _CLASSIC) or text_or_none(elb) or None,
                    container_name=block.text("container_name"),
                    container_port=block.number("container_port"),
                    place=block.place,
                )
            )
        self.services.append(
            (
                Service(
                    address=address,
                    place=service.place,
                    name=service.text("name"),
                    task_definition=_address(service.value("task_definition"), _TASKS),
                    targets=tuple(targets),
                    desired_count=service.number("desired_count"),
                    minimum_healthy_percent=service.number("deployment_minimum_healthy_percent"),
                    maximum_percent=service.number("deployment_maximum_percent"),
                    health_check_grace=service.seconds("health_check_grace_period_seconds"),
                    spot=_spot(service),
                ),
                service.text("task_definition"),
            )
        )

    def fragment(
        self, file: str, note: Callable[[Span | None, str], None], notes: Iterable[Note]
    ) -> AwsFragment:
        """What was gathered; `note` adds to `notes`."""
        listeners = {listener.address: listener for listener in self.listeners}
        for address, rule, _ in self.rules:
            listener = listeners.get(address) if address is not None else None
            if listener is None:
                text = f"{rule.address}: its listener is not known, so its target groups are not joined"
                note(rule.place, text)
            else:
                merged = tuple(dict.fromkeys([*listener.target_groups, *rule.target_groups]))
                rules = tuple(sorted([*listener.rules, rule], key=lambda one: one.priority or 0))
                listeners[listener.address] = replace(listener, target_groups=merged, rules=rules)
        for address, _, said in self.rules:
            # With one target group all requests are its own, whatever the rules say.
            if address in listeners and len(listeners[address].target_groups) > 1:
                for one in said:
                    note(one.span, one.text)
        return AwsFragment(
            file=file,
            notes=tuple(notes),
            load_balancers=tuple(self.balancers),
            listeners=tuple(listeners.values()),
            target_groups=tuple(self.target_groups),
            task_definitions=tuple(self.tasks),
            services=tuple(_services(self)),
            distributions=tuple(_distributions(self)),
        )


HANDLERS: Final[Mapping[str, Callable[[Collector, Arguments, str], None]]] = {
    **dict.fromkeys(_LOAD_BALANCERS, Collector.load_balancer),
    **dict.fromkeys(_LISTENERS, Collector.listener),
    **dict.fromkeys(_RULES, Collector.rule),
    **dict.fromkeys(_TARGET_GROUPS, Collector.target_group),
    **dict.fromkeys(_TASKS, Collector.task),
    **dict.fromkeys(_SERVICES, Collector.service),
    **dict.fromkeys(_CLASSIC, Collector.classic),
    **dict.fromkeys(_DISTRIBUTIONS, Collector.distribution),
    **dict.fromkeys(_RECORDS, Collector.record),
}


def _matters(kind: str, block: Block) -> bool:
    telling = _ONLY_WITH.get(kind)
    return telling is None or telling in block.source.data[block.start : block.end]


def _forwards(owner: Arguments, kind: str) -> tuple[tuple[str, ...], bool]:
    """The target groups that the `default_action` or `action` blocks forward to, in order, once each; and
    whether there may be another, which is not known."""
    found: dict[str, None] = {}
    unknown = False
    for action in owner.sections(kind):
        places = [action, *(g for f in action.sections("forward") for g in f.sections("target_group"))]
        unknown |= any(place.unknown for place in places)
        for place, name in zip(places, ["target_group_arn", *["arn"] * (len(places) - 1)], strict=True):
            value = place.value(name)
            address = _address(value, _TARGET_GROUPS)
            if address is not None:
                found[address] = None
            elif value is not None and value.data is not None:
                unknown = True
                owner.note(value.place, f"{name}: the target group is {_why(value)}")
    return tuple(found), unknown


def _distributions(found: Collector) -> Iterator[Distribution]:
    """Distributions; an origin that is called by a name of a balancer gets the address of that."""
    for one in found.distributions:
        origins = []
        for origin in one.origins:
            balancer = found.records.get(origin.load_balancer or origin.domain or "", origin.load_balancer)
            if balancer is not None and _kind(balancer) in _RECORDS:
                balancer = None
            origins.append(replace(origin, load_balancer=balancer))
        yield replace(one, origins=tuple(origins))


def _draining(elb: Arguments) -> Read:
    """How long a classic balancer drains an instance; Disabled where nobody switched that on.

    Source: registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/elb.
    """
    place, written, timeout = elb.place, elb.value("connection_draining"), "connection_draining_timeout"
    origin = Origin(OriginKind.FILE, (Step(written.place if written else place, "connection_draining"),))
    switch = text_or_none(written)
    if switch == "true":
        read = elb.seconds(timeout)
        default = Origin(OriginKind.DEFAULT, note="AWS Classic Load Balancer default", source=_DRAINING_PAGE)
        if isinstance(read, Absent):
            return Default(option=timeout, origin=default, site=read.site, value=Duration.of(s=300))
        return read
    if written is None or written.data is None or switch == "false":
        return Disabled(option="connection_draining", origin=origin)
    return Unknown(option="connection_draining", origin=origin, reason="whether it is on is not known")


def _spot(service: Arguments) -> bool | None:
    """Whether tasks may run on Fargate Spot; None where a strategy, or what the cluster runs, is not known.

    Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html.
    """
    found: set[bool | None] = set()
    for block in service.sections("capacity_provider_strategy"):
        provider = None if block.unknown else block.text("capacity_provider")
        idle = block.number("weight") == 0 and not block.number("base")
        if provider == "FARGATE_SPOT" and not idle:
            return True
        # Instances of a capacity provider of one's own may be Spot instances.
        found.add(False if provider in ("FARGATE", "FARGATE_SPOT") else None)
    if not found:
        # Without either, the cluster's default strategy holds, and instances may be Spot instances.
        return False if service.text("launch_type") == "FARGATE" else None
    return None if None in found else False


def _why(value: Value) -> str:
    unresolved = unresolved_of(value.data)
    return f"unknown: {unresolved.reason}" if unresolved else "written as text, so it is not in this module"


def _address(value: Value | None, kinds: tuple[str, ...]) -> str | None:
    """The one resource of these kinds that `value` refers to; else a data source of theirs; else None."""
    refs = references(value)
    if value is not None and isinstance(value.data, Deferred):
        refs = (value.data.address,)
    managed = [ref for ref in refs if _kind(ref) in kinds]
    if len(managed) == 1:
        return managed[0]
    data = [ref for ref in refs if _kind(ref) == "data" and ref.split("data.")[-1].split(".")[0] in kinds]
    return data[0] if not managed and len(data) == 1 else None


def _kind(address: str) -> str:
    """ "aws_lb" of `module.edge["a"].aws_lb.this[0]`; "data" for data sources."""
    rest = address
    while rest.startswith("module."):
        rest = rest.removeprefix("module.")
        # A key may hold dots: skip the bracket as a whole.
        bracket, dot = rest.find("["), rest.find(".")
        rest = rest[rest.index("].", bracket) + 2 :] if 0 <= bracket < dot else rest[dot + 1 :]
    return rest.split(".", 1)[0]


def read_resources(root: Module) -> AwsFragment:
    """Everything that the root module and its local modules declare. Raises: ReadError."""
    found = Collector()
    found.module(root)
    project = root.project
    for address, note in project.counts.items():
        if found.holds(address):
            project.notes[note] = None
    return relocated(found.fragment(root.declared.folder, project.note, project.notes), project.calls)


def _services(found: Collector) -> Iterator[Service]:
    """Services; what one names its task definition or classic balancer by becomes the address of that."""
    families = {task.family: task.address for task in found.tasks if task.family is not None}
    classic = {one.name: one.address for one in found.balancers if one.kind == "classic"}
    for service, written in found.services:
        targets = [
            replace(one, target_group=classic.get(one.target_group, one.target_group))
            for one in service.targets
        ]
        service = replace(service, targets=tuple(targets))
        if service.task_definition is None and written is not None:
            family = written.rsplit("/", 1)[-1].split(":", 1)[0]
            yield replace(service, task_definition=families.get(family))
        else:
            yield service
