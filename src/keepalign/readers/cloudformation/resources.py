"""The resources of a stack and its nested stacks to the shapes of `readers/_aws.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from keepalign.model.setting import Default, Disabled, Unknown
from keepalign.model.source import Origin, OriginKind, Step
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
from keepalign.readers.cloudformation.containers import containers
from keepalign.readers.cloudformation.listener_rules import listener_rule
from keepalign.readers.cloudformation.properties import Properties
from keepalign.readers.cloudformation.scope import Scope
from keepalign.readers.cloudformation.template import Resource
from keepalign.readers.cloudformation.values import Reference, Value, choices, reason_of, text_of
from keepalign.units import Duration

_LOAD_BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_LISTENER: Final = "AWS::ElasticLoadBalancingV2::Listener"
_RULE: Final = "AWS::ElasticLoadBalancingV2::ListenerRule"
_TARGET_GROUP: Final = "AWS::ElasticLoadBalancingV2::TargetGroup"
_CLASSIC: Final = "AWS::ElasticLoadBalancing::LoadBalancer"
_TASK: Final = "AWS::ECS::TaskDefinition"
_SERVICE: Final = "AWS::ECS::Service"
_DISTRIBUTION: Final = "AWS::CloudFront::Distribution"
_DRAINING_PAGE: Final = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/config-conn-drain.html"
)
_DRAINING: Final = Duration.of(s=300)


class Collector:
    """Gathers what the stacks of one group declare."""

    def __init__(self) -> None:
        self.balancers: list[LoadBalancer] = []
        self.listeners: dict[str, Listener] = {}
        self.target_groups: list[TargetGroup] = []
        self.tasks: list[TaskDefinition] = []
        self.services: list[tuple[Service, str | None]] = []
        self.distributions: list[Distribution] = []
        self.rules: list[tuple[str | None, ListenerRule, list[Note]]] = []
        self.notes: list[Note] = []
        self.by_name: dict[str, Note] = {}
        self._why: dict[str, str] = {}

    def stack(self, scope: Scope) -> None:
        """All resources of one template."""
        self.notes += scope.template.notes
        for resource in scope.template.resources.values():
            handler = _HANDLERS.get(resource.kind)
            if handler is not None and scope.exists(resource):
                fields = resource.fields.fields("Properties")
                if fields is not None and fields.key("Fn::Transform") is not None:
                    text = f"what Fn::Transform adds to {resource.name} when it is deployed is not read"
                    self.notes.append(Note(resource.place, text))
                properties = Properties(scope, fields, resource.place)
                handler(self, properties, f"{scope.prefix}{resource.name}", resource)

    def load_balancer(self, lb: Properties, address: str, resource: Resource) -> None:
        """An application, network or gateway load balancer."""
        written = lb.value("Type")
        attributes = lb.attributes("LoadBalancerAttributes")
        self.balancers.append(
            LoadBalancer(
                address=address,
                place=resource.place,
                name=lb.text("Name"),
                kind="application" if written is None else text_of(written) or "*",
                idle_timeout=attributes.seconds("idle_timeout", "idle_timeout.timeout_seconds"),
                client_keep_alive=attributes.seconds("client_keep_alive", "client_keep_alive.seconds"),
            )
        )

    def classic(self, lb: Properties, address: str, resource: Resource) -> None:
        """A Classic Load Balancer, with a listener and a target group of its own."""
        name = lb.text("LoadBalancerName")
        idle = lb.section("ConnectionSettings").seconds("IdleTimeout", "idle_timeout")
        check = lb.section("HealthCheck")
        self.balancers.append(
            LoadBalancer(address, resource.place, name, "classic", idle, Absent("client_keep_alive"))
        )
        first = next(lb.sections("Listeners"), None)
        self.listeners[address] = Listener(
            address=address, place=resource.place, load_balancer=address, target_groups=(address,),
            port=first.whole("LoadBalancerPort") if first is not None else None,
            protocol=first.text("Protocol") if first is not None else None,
            default_groups=(address,),
        )  # fmt: skip
        self.target_groups.append(
            TargetGroup(
                address=address,
                place=resource.place,
                name=name,
                port=first.whole("InstancePort") if first is not None else None,
                deregistration_delay=_draining(lb),
                health_path=None,
                health_interval=check.seconds("Interval", "health_check.interval"),
                health_timeout=check.seconds("Timeout", "health_check.timeout"),
                healthy_threshold=check.whole("HealthyThreshold"),
                unhealthy_threshold=check.whole("UnhealthyThreshold"),
                matcher=None,
            )
        )

    def listener(self, listener: Properties, address: str, resource: Resource) -> None:
        """A listener with its default actions."""
        groups, unknown = self._forwards(listener, "DefaultActions", address)
        attributes = listener.attributes("ListenerAttributes")
        self.listeners[address] = Listener(
            address=address,
            place=resource.place,
            load_balancer=self._address(listener.value("LoadBalancerArn"), (_LOAD_BALANCER,), address),
            target_groups=groups,
            port=listener.whole("Port"),
            protocol=listener.text("Protocol"),
            default_groups=groups,
            unknown_target=unknown,
            tcp_idle_timeout=attributes.seconds("tcp_idle_timeout_seconds", "tcp.idle_timeout.seconds"),
        )

    def rule(self, rule: Properties, address: str, resource: Resource) -> None:
        """A listener's rule."""
        written = rule.value("ListenerArn")
        listener = self._address(written, (_LISTENER,), address)
        if listener is None and written is not None and (why := reason_of(written)):
            self._why[address] = f": {why}"
        groups, unknown = self._forwards(rule, "Actions", address)
        self.rules.append((listener, *listener_rule(rule, address, resource.place, groups, unknown)))

    def target_group(self, group: Properties, address: str, resource: Resource) -> None:
        """A target group with its health check."""
        attributes = group.attributes("TargetGroupAttributes")
        self.target_groups.append(
            TargetGroup(
                address=address,
                place=resource.place,
                name=group.text("Name"),
                port=group.whole("Port"),
                deregistration_delay=attributes.seconds(
                    "deregistration_delay", "deregistration_delay.timeout_seconds"
                ),
                health_path=group.text("HealthCheckPath"),
                health_interval=group.seconds("HealthCheckIntervalSeconds", "health_check.interval"),
                health_timeout=group.seconds("HealthCheckTimeoutSeconds", "health_check.timeout"),
                healthy_threshold=group.whole("HealthyThresholdCount"),
                unhealthy_threshold=group.whole("UnhealthyThresholdCount"),
                matcher=group.section("Matcher").text("HttpCode"),
            )
        )

    def task(self, task: Properties, address: str, resource: Resource) -> None:
        """A task definition with its containers."""
        written = task.value("ContainerDefinitions")
        if written is None:
            self.notes.append(Note(resource.place, f"{address} has no ContainerDefinitions"))
        elif task.open("ContainerDefinitions"):
            why = next((text for one in (written, *task.items("ContainerDefinitions"))
                        for choice in choices(one) if (text := reason_of(choice))), "")  # fmt: skip
            self.notes.append(Note(written.place, f"the containers of {address} are unknown: {why}"))
        found = containers(task)
        self.tasks.append(TaskDefinition(address, resource.place, task.text("Family"), found))

    def service(self, service: Properties, address: str, resource: Resource) -> None:
        """A service with the target groups that it registers its tasks in."""
        deployment = service.section("DeploymentConfiguration")
        targets = []
        for one in service.sections("LoadBalancers"):
            group = self._address(one.value("TargetGroupArn"), (_TARGET_GROUP,), address)
            classic = self._address(one.value("LoadBalancerName"), (_CLASSIC,), address)
            targets.append(
                ServiceTarget(
                    target_group=group or classic,
                    container_name=one.text("ContainerName"),
                    container_port=one.whole("ContainerPort"),
                    place=one.place,
                )
            )
        task = service.value("TaskDefinition")
        found = Service(
            address=address,
            place=resource.place,
            name=service.text("ServiceName"),
            task_definition=self._address(task, (_TASK,), address),
            targets=tuple(targets),
            desired_count=service.whole("DesiredCount"),
            minimum_healthy_percent=deployment.whole("MinimumHealthyPercent"),
            maximum_percent=deployment.whole("MaximumPercent"),
            health_check_grace=service.seconds(
                "HealthCheckGracePeriodSeconds", "health_check_grace_period_seconds"
            ),
            spot=_spot(service),
        )
        self.services.append((found, text_of(task)))

    def distribution(self, distribution: Properties, address: str, resource: Resource) -> None:
        """A distribution with its custom origins."""
        origins = []
        for one in distribution.section("DistributionConfig").sections("Origins"):
            custom = one.section("CustomOriginConfig")
            if custom.fields is None:
                continue
            domain = one.value("DomainName")
            origins.append(
                DistributionOrigin(
                    origin_id=one.text("Id"),
                    place=one.place,
                    domain=text_of(domain),
                    load_balancer=self._address(domain, (_LOAD_BALANCER, _CLASSIC), address),
                    read_timeout=custom.seconds("OriginReadTimeout", "origin_read_timeout"),
                    keepalive_timeout=custom.seconds("OriginKeepaliveTimeout", "origin_keepalive_timeout"),
                    connection_timeout=one.seconds("ConnectionTimeout", "connection_timeout"),
                    connection_attempts=one.whole("ConnectionAttempts"),
                )
            )
        self.distributions.append(Distribution(address, resource.place, tuple(origins)))

    # What they refer to

    def _forwards(self, owner: Properties, name: str, address: str) -> tuple[tuple[str, ...], bool]:
        """The target groups that actions forward to, in order, once each; and whether there may be more."""
        found: dict[str, None] = {}
        unknown = owner.open(name)
        for action in owner.sections(name):
            forward = action.section("ForwardConfig")
            unknown |= forward.open("TargetGroups")
            for place in (action, *forward.sections("TargetGroups")):
                value = place.value("TargetGroupArn")
                for one in choices(value) if value is not None else ():
                    group = self._address(one, (_TARGET_GROUP,), address)
                    if group is not None:
                        found[group] = None
                    elif one.data is not None:
                        unknown = True
                        why = reason_of(one) or "written as text, so it is not in this template"
                        text = f"{address}: the target group that it forwards to is unknown: {why}"
                        self.notes.append(Note(one.place, text))
        return tuple(found), unknown

    def _address(self, value: Value | None, kinds: tuple[str, ...], owner: str) -> str | None:
        """The one resource of these kinds that `value` refers to."""
        meant = [] if value is None else [one for one in choices(value) if isinstance(one.data, Reference)]
        found = {
            one.data.address: one
            for one in meant
            if isinstance(one.data, Reference) and one.data.kind in kinds
        }
        if len(found) != 1:
            return None
        ((address, one),) = found.items()
        if one.by_name:
            self.by_name[owner] = Note(one.place, one.by_name)
        return address

    def fragment(self, file: str) -> AwsFragment | None:
        """What was gathered; None when no request passes through any of it."""
        for address, rule, _ in self.rules:
            listener = self.listeners.get(address) if address is not None else None
            if listener is None:
                why = self._why.get(rule.address, "")
                text = f"{rule.address}: its listener is not known, so its target groups are not joined{why}"
                self.notes.append(Note(rule.place, text))
                continue
            merged = tuple(dict.fromkeys([*listener.target_groups, *rule.target_groups]))
            rules = tuple(sorted([*listener.rules, rule], key=lambda one: one.priority or 0))
            self.listeners[listener.address] = replace(listener, target_groups=merged, rules=rules)
        for address, _, said in self.rules:
            # With one target group all requests are its own, whatever the rules say.
            if address in self.listeners and len(self.listeners[address].target_groups) > 1:
                self.notes += said
        families = {task.family: task.address for task in self.tasks if task.family is not None}
        services = [
            replace(service, task_definition=families.get(written.rsplit("/", 1)[-1].split(":", 1)[0]))
            if service.task_definition is None and written is not None
            else service
            for service, written in self.services
        ]
        held = (self.balancers, self.listeners, self.target_groups, self.tasks, services, self.distributions)
        if not any(held):
            return None
        return AwsFragment(
            file=file,
            notes=tuple(self.notes),
            load_balancers=tuple(self.balancers),
            listeners=tuple(self.listeners.values()),
            target_groups=tuple(self.target_groups),
            task_definitions=tuple(self.tasks),
            services=tuple(services),
            distributions=tuple(self.distributions),
            by_name=self.by_name,
        )


_HANDLERS: Final[Mapping[str, Callable[[Collector, Properties, str, Resource], None]]] = {
    _LOAD_BALANCER: Collector.load_balancer,
    _CLASSIC: Collector.classic,
    _LISTENER: Collector.listener,
    _RULE: Collector.rule,
    _TARGET_GROUP: Collector.target_group,
    _TASK: Collector.task,
    _SERVICE: Collector.service,
    _DISTRIBUTION: Collector.distribution,
}


def _draining(lb: Properties) -> Read:
    """How long a classic balancer drains an instance; Disabled where nobody switched that on."""
    policy = lb.section("ConnectionDrainingPolicy")
    enabled = policy.value("Enabled")
    here = Origin(OriginKind.FILE, (Step(enabled.place if enabled else policy.place, "Enabled"),))
    switch = text_of(enabled)
    if enabled is None and (lb.value("ConnectionDrainingPolicy") is None or policy.fields is not None):
        return Disabled(option="connection_draining", origin=here)
    if switch == "false":
        return Disabled(option="connection_draining", origin=here)
    if switch != "true":
        return Unknown(option="connection_draining", origin=here, reason="whether it is on is not known")
    read = policy.seconds("Timeout", "connection_draining_timeout")
    if isinstance(read, Absent):
        note = Origin(OriginKind.DEFAULT, note="AWS Classic Load Balancer default", source=_DRAINING_PAGE)
        return Default(option="connection_draining_timeout", origin=note, site=read.site, value=_DRAINING)
    return read


def _spot(service: Properties) -> bool | None:
    """Whether tasks may run on Fargate Spot; None where a strategy, or what the cluster runs, is not known.

    Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html.
    """
    found: set[bool | None] = {None} if service.open("CapacityProviderStrategy") else set()
    for one in service.sections("CapacityProviderStrategy"):
        provider = one.text("CapacityProvider")
        idle = one.whole("Weight") == 0 and not one.whole("Base")
        if provider == "FARGATE_SPOT" and not idle and not one.unsure:
            return True
        # Instances of a capacity provider of one's own may be Spot instances.
        known = provider in ("FARGATE", "FARGATE_SPOT") and not (one.unsure and provider == "FARGATE_SPOT")
        found.add(False if known else None)
    if not found:
        # Without either, the cluster's default strategy holds, and instances may be Spot instances.
        return False if service.text("LaunchType") == "FARGATE" else None
    return None if None in found else False
