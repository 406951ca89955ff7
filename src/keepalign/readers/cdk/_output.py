"""The constructs of one file as the shapes of `readers/_aws.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.model.setting import Default
from keepalign.model.source import Origin, OriginKind, Span
from keepalign.readers._aws import (
    AwsFragment,
    Container,
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
from keepalign.readers.cdk import _constructs as made
from keepalign.readers.cdk._expr import (
    Call,
    Expr,
    Listed,
    Options,
    Stretch,
    fields_of,
    last_name,
)
from keepalign.readers.cdk._images import Images
from keepalign.readers.cdk._values import Values
from keepalign.units import Duration

_SERVICE_PAGE: Final = "https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_ecs.FargateService.html"
# aws-cdk-lib, aws-ecs/lib/base/base-service.ts: what the CDK writes into the template when nobody says more.
_GRACE: Final = Duration.of(s=60)
_MINIMUM: Final = 50
_MAXIMUM: Final = 200
# aws-cdk-lib, aws-ecs-patterns: of taskImageOptions.
_PATTERN_CONTAINER: Final = "web"
_PATTERN_PORT: Final = 80
_CONDITIONS: Final = {
    "httpHeader": "http_header", "httpRequestMethods": "http_request_method", "queryStrings": "query_string",
    "sourceIps": "source_ip",
}  # fmt: skip


class Output:
    """Makes the fragment of one file.

    Args:
        listed: every file of the tree.
    """

    def __init__(
        self,
        values: Values,
        constructs: Sequence[made.Construct],
        notes: list[Note],
        listed: frozenset[str],
    ) -> None:
        self._values = values
        self._constructs = constructs
        self._notes = notes
        self._images = Images(values, listed)

    def fragment(self) -> AwsFragment | None:
        """Everything; None when there is nothing."""
        held = self._constructs
        origins = [self._origin(one) for one in held if isinstance(one, made.OriginMade)]
        found = AwsFragment(
            file=self._values.source.file,
            load_balancers=tuple(self._balancer(one) for one in held if isinstance(one, made.Balancer)),
            listeners=tuple(self._listener(one) for one in held if isinstance(one, made.Listener)),
            target_groups=tuple(self._group(one) for one in held if isinstance(one, made.Group)),
            task_definitions=tuple(self._task(one) for one in held if isinstance(one, made.Task)),
            services=tuple(self._service(one) for one in held if isinstance(one, made.ServiceMade)),
            distributions=(
                (Distribution("distribution", origins[0].place, tuple(origins)),) if origins else ()
            ),
            notes=tuple(self._notes),
        )
        every = (
            found.load_balancers, found.listeners, found.target_groups, found.task_definitions,
            found.services, found.distributions,
        )  # fmt: skip
        return found if any(every) or self._notes else None

    def _span(self, at: Stretch) -> Span:
        # Where it begins: the whole of a pattern may be a page long.
        return self._values.span((at[0], at[0]))

    def _entry(self, of: made.Made, name: str) -> Expr | None:
        return of.options.entries.get(name) if of.options is not None else None

    def _seconds(self, of: made.Made, option: str, name: str, key: str = "") -> Read:
        """A property, or the attribute `key` that overrides it."""
        values = self._values
        if key and key in of.attributes:
            return values.seconds(option, f"setAttribute {key}", of.attributes[key], None, quoted=True)
        expr = self._entry(of, name)
        if expr is None and of.options is not None and of.options.open:
            from_spread = Options({}, of.options.at)
            return values.seconds(option, name, from_spread, None)
        site = values.duration_site(name, of.call, of.options)
        if site is None and key:
            # The file imports no Duration.
            site = values.call_site(of.statement, of.member, key)
        return values.seconds(option, name, expr, site)

    def _balancer(self, one: made.Balancer) -> LoadBalancer:
        values, key = self._values, "client_keep_alive.seconds"
        if one.kind != "application":
            idle: Read = Absent("idle_timeout")
            longest: Read = Absent("client_keep_alive")
        else:
            idle = self._seconds(one, "idle_timeout", "idleTimeout", "idle_timeout.timeout_seconds")
            longest = self._seconds(one, "client_keep_alive", "clientKeepAlive", key)
            if one.member and isinstance(longest, Absent):
                # The pattern has no property of it.
                longest = Absent("client_keep_alive", values.call_site(one.statement, one.member, key))
        return LoadBalancer(
            address=one.address,
            place=self._span(one.at),
            name=values.text(self._entry(one, "loadBalancerName")),
            kind=one.kind,
            idle_timeout=idle,
            client_keep_alive=longest,
        )

    def _group(self, one: made.Group) -> TargetGroup:
        values, key = self._values, "deregistration_delay.timeout_seconds"
        health = made.Made("", one.at, None, one.health)
        if one.member and key not in one.attributes:
            # A pattern has no property of it.
            delay: Read = Absent("deregistration_delay", values.call_site(one.statement, one.member, key))
        else:
            delay = self._seconds(one, "deregistration_delay", "deregistrationDelay", key)
        return TargetGroup(
            address=one.address,
            place=self._span(one.at),
            name=values.text(self._entry(one, "targetGroupName")),
            port=values.whole(self._entry(one, "port")) if not one.member else None,
            deregistration_delay=delay,
            health_path=values.text(self._entry(health, "path")),
            health_interval=self._seconds(health, "health_check.interval", "interval"),
            health_timeout=self._seconds(health, "health_check.timeout", "timeout"),
            healthy_threshold=values.whole(self._entry(health, "healthyThresholdCount")),
            unhealthy_threshold=values.whole(self._entry(health, "unhealthyThresholdCount")),
            matcher=values.text(self._entry(health, "healthyHttpCodes")),
        )

    def _listener(self, one: made.Listener) -> Listener:
        defaults: dict[str, None] = {}
        every: dict[str, None] = {}
        rules: list[ListenerRule] = []
        unknown = False
        for forward in one.forwards:
            groups = tuple(group.address for group in forward.groups)
            every |= dict.fromkeys(groups)
            entries = forward.options.entries if forward.options is not None else {}
            if "priority" in entries or "conditions" in entries:
                rules.append(self._rule(f"{one.address}.rule{len(rules) + 1}", forward, groups))
            else:
                defaults |= dict.fromkeys(groups)
                unknown |= forward.unknown
        port = self._entry(one, "listenerPort") if one.member else self._entry(one, "port")
        return Listener(
            address=one.address,
            place=self._span(one.at),
            load_balancer=one.balancer.address if one.balancer is not None else None,
            target_groups=tuple(every),
            port=self._values.whole(port),
            protocol=None,
            default_groups=tuple(defaults),
            unknown_target=unknown,
            rules=tuple(sorted(rules, key=lambda rule: rule.priority or 0)),
        )

    def _rule(self, address: str, forward: made.Forward, groups: tuple[str, ...]) -> ListenerRule:
        values = self._values
        entries = forward.options.entries if forward.options is not None else {}
        paths: tuple[str, ...] | None = ()
        hosts: tuple[str, ...] | None = ()
        further: dict[str, None] = {}
        conditions = (
            values.found(entries["conditions"]).expr if "conditions" in entries else Listed((), (0, 0))
        )
        if not isinstance(conditions, Listed):
            further["a condition that is not known"] = None
            conditions = Listed((), (0, 0))
        for condition in conditions.items:
            held = values.found(condition).expr
            name = last_name(held.function) if isinstance(held, Call) else ""
            given = held.arguments[0] if isinstance(held, Call) and held.arguments else None
            listed = values.found(given).expr if given is not None else None
            texts = [values.text(item) for item in listed.items] if isinstance(listed, Listed) else [None]
            known = tuple(sorted(text for text in texts if text is not None))
            match name:
                case "pathPatterns":
                    paths = known if len(known) == len(texts) else None
                case "hostHeaders":
                    hosts = known if len(known) == len(texts) else None
                case _:
                    further[_CONDITIONS.get(name, "a condition that is not known")] = None
        return ListenerRule(
            address=address,
            place=self._span(forward.at),
            target_groups=groups,
            unknown_target=forward.unknown,
            priority=values.whole(entries.get("priority")),
            paths=paths,
            hosts=hosts,
            further=tuple(further),
        )

    # Tasks and services

    def _task(self, one: made.Task) -> TaskDefinition:
        family = self._values.text(self._entry(one, "family")) if not one.member else None
        containers = tuple(self._container(container) for container in one.containers)
        return TaskDefinition(one.address, self._span(one.at), family, containers)

    def _container(self, one: made.ContainerMade) -> Container:
        values = self._values
        name = values.pattern(self._entry(one, "containerName"))
        image, build = self._images.image(self._entry(one, "image"))
        written = self._entry(one, "image")
        environment: dict[str, str | None] = {}
        held = (
            fields_of(values.found(held_env).expr) if (held_env := self._entry(one, "environment")) else None
        )
        for key, expr in held.entries.items() if held is not None else ():
            environment[key] = values.text(expr)
        secrets = self._entry(one, "secrets")
        hidden = fields_of(values.found(secrets).expr) if secrets is not None else None
        environment |= dict.fromkeys(hidden.entries if hidden is not None else ())
        stop: Read = Absent("stopTimeout")
        if not one.pattern:
            stop = self._seconds(one, "stopTimeout", "stopTimeout")
        return Container(
            name=name or (_PATTERN_CONTAINER if one.pattern else one.address),
            place=self._span(one.at),
            image=image,
            image_span=values.span(written.at) if written is not None else None,
            command=values.command(self._entry(one, "command")),
            entry_point=values.command(self._entry(one, "entryPoint")),
            stop_timeout=stop,
            ports=self._ports(one),
            depends_on=tuple(self._name(other) for other in one.needs),
            environment=environment,
            build=build,
        )

    def _ports(self, one: made.ContainerMade) -> tuple[int, ...]:
        if one.pattern:
            written = self._entry(one, "containerPort")
            found = self._values.whole(written) if written is not None else _PATTERN_PORT
            return (found,) if found is not None else ()
        mappings = list(one.ports)
        listed = self._entry(one, "portMappings")
        held = self._values.found(listed).expr if listed is not None else None
        mappings += held.items if isinstance(held, Listed) else ()
        ports = []
        for mapping in mappings:
            fields = fields_of(self._values.found(mapping).expr)
            port = self._values.whole(fields.entries.get("containerPort")) if fields is not None else None
            if port is not None:
                ports.append(port)
        return tuple(ports)

    def _name(self, one: made.ContainerMade) -> str:
        name = self._values.pattern(self._entry(one, "containerName"))
        return name or (_PATTERN_CONTAINER if one.pattern else one.address)

    def _service(self, one: made.ServiceMade) -> Service:
        values = self._values
        targets = [self._target(one, group, None, entry) for group, entry in one.groups]
        for group in self._constructs:
            if isinstance(group, made.Group):
                targets += [
                    self._target(one, group, expr, None) for expr, meant in group.targets if meant is one
                ]
        targets += [self._target(one, None, expr, None) for expr in one.elsewhere]
        minimum, maximum = self._entry(one, "minHealthyPercent"), self._entry(one, "maxHealthyPercent")
        grace = self._seconds(one, "health_check_grace_period_seconds", "healthCheckGracePeriod")
        if isinstance(grace, Absent) and targets:
            grace = Default(
                option="health_check_grace_period_seconds", site=grace.site, value=_GRACE,
                origin=Origin(OriginKind.DEFAULT, note="AWS CDK default", source=_SERVICE_PAGE),
            )  # fmt: skip
        return Service(
            address=one.address,
            place=self._span(one.at),
            name=values.text(self._entry(one, "serviceName")),
            task_definition=one.task.address if one.task is not None else None,
            targets=tuple(targets),
            desired_count=values.whole(self._entry(one, "desiredCount")),
            minimum_healthy_percent=values.whole(minimum) if minimum is not None else _MINIMUM,
            maximum_percent=values.whole(maximum) if maximum is not None else _MAXIMUM,
            health_check_grace=grace,
            spot=self._spot(one),
        )

    def _target(
        self, one: made.ServiceMade, group: made.Group | None, expr: Expr | None, entry: Options | None
    ) -> ServiceTarget:
        """Without a word the CDK takes the first container, and the first port that it maps."""
        values = self._values
        held = values.found(expr).expr if expr is not None else None
        named = (
            held.options
            if isinstance(held, Call) and last_name(held.function) == "loadBalancerTarget"
            else entry
        )
        containers = one.task.containers if one.task is not None else []
        name = values.text(named.entries.get("containerName")) if named is not None else None
        port = values.whole(named.entries.get("containerPort")) if named is not None else None
        name = name or (self._name(containers[0]) if containers else None)
        front = next((c for c in containers if self._name(c) == name), None)
        if port is None and front is not None:
            port = next(iter(self._ports(front)), None)
        place = self._span(expr.at if expr is not None else one.at)
        return ServiceTarget(group.address if group is not None else None, name, port, place)

    def _spot(self, one: made.ServiceMade) -> bool | None:
        strategies = self._entry(one, "capacityProviderStrategies")
        held = self._values.found(strategies).expr if strategies is not None else None
        if strategies is None:
            made_of = last_name(one.call.function) if one.call is not None else ""
            return False if "Fargate" in made_of else None
        if not isinstance(held, Listed):
            return None
        fields = [fields_of(self._values.found(item).expr) for item in held.items]
        names = [
            self._values.text(f.entries.get("capacityProvider")) if f is not None else None for f in fields
        ]
        if "FARGATE_SPOT" in names:
            return True
        return False if set(names) == {"FARGATE"} else None

    def _origin(self, one: made.OriginMade) -> DistributionOrigin:
        call = one.call
        domain = call.arguments[0] if call is not None and call.arguments else None
        attempts = self._entry(one, "connectionAttempts")
        return DistributionOrigin(
            origin_id=None,
            place=self._span(one.at),
            domain=None if one.balancer is not None else self._values.text(domain),
            load_balancer=one.balancer.address if one.balancer is not None else None,
            read_timeout=self._seconds(one, "origin_read_timeout", "readTimeout"),
            keepalive_timeout=self._seconds(one, "origin_keepalive_timeout", "keepaliveTimeout"),
            connection_timeout=self._seconds(one, "connection_timeout", "connectionTimeout"),
            connection_attempts=self._values.whole(attempts),
        )
