"""Balancers, ingress-nginx and pods as hops and lifecycles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from keepalign.defaults import load
from keepalign.join import hops, images
from keepalign.join.program import Program
from keepalign.join.settings import effective
from keepalign.model.lifecycle import Deployment, HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Hop, JoinEvidence, Product
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.source import Origin, OriginKind, Site, Step
from keepalign.model.timers import Role
from keepalign.readers._aws import LoadBalancer
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import insertion
from keepalign.readers.kubernetes.fragment import (
    Attributes,
    ConfigMap,
    Ingress,
    IngressClassParams,
    PodContainer,
    Pods,
    Probe,
    Service,
)
from keepalign.readers.kubernetes.ingresses import NGINX, controller_default
from keepalign.readers.kubernetes.layers import text_of
from keepalign.readers.kubernetes.times import nginx_seconds
from keepalign.units import Duration

_ROLES: Final = {
    "keep-alive": Role.SERVER_IDLE,
    "client-header-timeout": Role.SERVER_HEADER_READ,
    "client-body-timeout": Role.SERVER_BODY_READ,
    "upstream-keepalive-timeout": Role.UPSTREAM_POOL_IDLE,
    "proxy-connect-timeout": Role.UPSTREAM_CONNECT,
    "proxy-read-timeout": Role.UPSTREAM_READ,
    "proxy-next-upstream-timeout": Role.UPSTREAM_RETRY,
    "worker-shutdown-timeout": Role.SHUTDOWN_GRACE,
}
_TRIES: Final = "3"
"""proxy-next-upstream-tries where nobody sets it (its page: defaults/ingress_nginx.toml)."""


def alb(name: str, members: Sequence[Ingress], params: IngressClassParams | None) -> Hop:
    """The ALB that one Ingress, or a group of them, has made.

    Args:
        members: of the group, in its order; not empty.
        params: of their class: what it says wins over the annotations.
    """

    def first(option: str) -> Read:
        reads: list[Read] = [getattr(params.attributes, option)] if params is not None else []
        reads += [getattr(one.attributes, option) for one in members]
        return _winner(reads)

    balancer = LoadBalancer(
        address=name,
        place=members[0].place,
        name=name,
        kind="application",
        idle_timeout=first("idle_timeout"),
        client_keep_alive=first("client_keep_alive"),
    )
    return hops.alb(balancer, name)


def _winner(reads: Iterable[Read]) -> Read:
    """The first that somebody wrote, with those that do not count; else where one could be written."""
    reads = list(reads)
    wrote = [one for one in reads if not isinstance(one, Absent)]
    if not wrote:
        return next((one for one in reads if isinstance(one, Absent) and one.site is not None), reads[0])
    winner, *lost = wrote
    # In a group people write the same into every Ingress.
    other = [one for one in lost if value_of(_setting(one)) != value_of(_setting(winner))]
    losers = tuple(step for one in other for step in one.origin.steps[:1])
    return replace(winner, origin=replace(winner.origin, losers=losers)) if losers else winner


def network(service: Service, name: str) -> Hop:
    """The network load balancer that a Service of type LoadBalancer has made."""
    balancer = LoadBalancer(
        address=name,
        place=service.place,
        name=name,
        kind="network",
        idle_timeout=Absent("idle_timeout"),
        client_keep_alive=Absent("client_keep_alive"),
    )
    return hops.network(balancer, name, None)


def ingress_nginx(
    ingress: Ingress,
    name: str,
    config: ConfigMap | None,
    controller: PodContainer | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    """ingress-nginx as it serves the paths of one Ingress.

    Args:
        config: its ConfigMap; None where the tree holds none: then its defaults count.
        controller: its container, whose image tells the version; None where the tree holds none.
    """
    image = controller.container if controller is not None else None
    tag = images.image_tag(image.image or "") if image is not None else ""
    version = re.match(r"v?(\d+\.\d+(\.\d+)?)", tag)
    place = image.image_span if image is not None else None
    settings: dict[Role, Setting] = {}
    for option, role in _ROLES.items():
        read = _of_config_map(config, option)
        if option in ingress.nginx:
            read = _annotated(ingress.nginx[option], read, config)
        settings[role] = effective(_zero(read), Product.INGRESS_NGINX)

    def word(option: str, default: str) -> str:
        written = config.data[option].text if config is not None and option in config.data else default
        return ingress.annotations.get(f"{NGINX}{option}", written).strip()

    words = word("proxy-next-upstream", "error timeout").split()
    traits = {"retries": "idempotent", "attempts": word("proxy-next-upstream-tries", _TRIES), "pool": "on"}
    if "off" in words or "error" not in words:
        traits["retries"] = "off"
    elif "non_idempotent" in words:
        traits["retries"] = "all"
    if not traits["attempts"].isdigit() or traits["attempts"] == "0":
        del traits["attempts"]
    if config is not None and "upstream-keepalive-connections" in config.data:
        traits["pool"] = "off" if config.data["upstream-keepalive-connections"].text.strip() == "0" else "on"
    return Hop(
        name=name,
        product=Product.INGRESS_NGINX,
        settings=settings,
        version=version[1] if version is not None else "",
        version_origin=Origin(OriginKind.FILE, (Step(place, "image"),)) if version and place else None,
        traits=traits,
        joined=joined,
        place=ingress.place,
    )


def _annotated(own: Read, general: Read, config: ConfigMap | None) -> Read:
    """An annotation wins over the ConfigMap, which goes on deciding for the other Ingresses."""
    if isinstance(own, Absent):
        # Written for this Ingress alone, it changes nothing else.
        return own if isinstance(general, Absent) and own.site is not None else general
    value = value_of(_setting(general))
    if value is None or config is None:
        return own
    note = f"wins over {value} of ConfigMap {config.name}"
    return replace(own, origin=replace(own.origin, note=note))


def _of_config_map(config: ConfigMap | None, option: str) -> Read:
    if config is None:
        return Absent(option)
    scalar = config.data.get(option)
    if scalar is not None:
        return nginx_seconds(scalar, option)
    site: Site | None = None
    if config.entries is not None and config.entries.entries and not config.entries.flow:
        suffix = "s" if option == "worker-shutdown-timeout" else ""
        source = text_of(config.source, config.entries.entries[0][0].span)
        site = insertion(source, config.entries, f'{option}: "{{value}}{suffix}"')
    return Absent(option, site)


def _zero(read: Read) -> Read:
    """0 means what nginx makes of it."""
    if not isinstance(read, Explicit) or read.value:
        return read
    match read.option:
        case "keep-alive" | "upstream-keepalive-timeout":
            return Disabled(option=read.option, origin=read.origin, site=read.site)
        case "proxy-next-upstream-timeout" | "worker-shutdown-timeout":
            return Unlimited(option=read.option, origin=read.origin, site=read.site)
        case _:
            return read


def _setting(read: Read) -> Setting | None:
    return None if isinstance(read, Absent) else read


# Pods


def delay_of(service: Service, ingress: Ingress | None, params: IngressClassParams | None) -> Setting:
    """How long a balancer lets the connections of a pod that goes away be.

    Of targets that are the pods themselves it is the target group's; where they are the nodes, and behind
    ingress-nginx, nobody cuts what is in flight.
    """
    sides = [
        *([(params.attributes, params.target_type)] if params is not None else []),
        (service.attributes, service.attributes.target_type),
        *([(ingress.attributes, ingress.attributes.target_type)] if ingress is not None else []),
    ]
    kind = next((kind for _, kind in sides if kind is not None), None)
    if ingress is not None and kind is None:
        # The nodes are the targets, which needs a Service that opens ports of the nodes.
        kind = "ip" if service.type == "ClusterIP" else "instance"
    if kind != "ip" or (ingress is None and service.balancer != "network"):
        return never_cut()
    found = _winner([attributes.deregistration_delay for attributes, _ in sides])
    if isinstance(found, Absent) and ingress is not None:
        found = ingress.attributes.deregistration_delay
    return effective(found, Product.AWS_ALB)


def never_cut() -> Setting:
    """Of pods whose connections nobody cuts while they end."""
    return load(Product.KUBERNETES).setting("removal from EndpointSlices")


def health_check(service: Service, ingress: Ingress) -> HealthCheck:
    """Of the target group that the AWS Load Balancer Controller makes; what the Service says wins."""
    of_service, of_ingress = service.attributes, ingress.attributes

    def times(option: str, default: int) -> Setting:
        found = _winner([getattr(of_service, option), getattr(of_ingress, option)])
        if isinstance(found, Absent):
            return controller_default(found.option, default, of_ingress_site(of_ingress, option))
        return found

    # The controller's defaults differ from AWS's (its guide, "Ingress annotations").
    return HealthCheck(
        path=of_service.health_path or of_ingress.health_path or "/",
        interval=times("health_interval", 15),
        timeout=times("health_timeout", 5),
        healthy_threshold=of_service.healthy_threshold or of_ingress.healthy_threshold or 2,
        unhealthy_threshold=of_service.unhealthy_threshold or of_ingress.unhealthy_threshold or 2,
        matcher=of_service.matcher or of_ingress.matcher or "200",
    )


def of_ingress_site(attributes: Attributes, option: str) -> Site | None:
    """Where the Ingress could say it."""
    read = getattr(attributes, option)
    return read.site if isinstance(read, Absent) else None


def lifecycle(
    pods: Pods, programs: Mapping[str, Program], delay: Setting, check: HealthCheck | None, replicas: int
) -> Lifecycle:
    """How the pods of a workload start and stop."""
    mains = tuple(one.container.name for one in pods.containers if not one.sidecar)
    stops = tuple(
        StopStep(
            container=one.container.name,
            signal=programs[one.container.name].stop_signal if one.container.name in programs else "SIGTERM",
            stop_timeout=effective(one.container.stop_timeout, Product.KUBERNETES),
            # A sidecar gets its signal when the others have ended.
            after=mains if one.sidecar else (),
            pre_stop=effective(one.pre_stop, Product.KUBERNETES),
            place=one.container.place,
        )
        for one in pods.containers
    )
    probed = [one for one in pods.containers if one.startup or one.liveness]
    return Lifecycle(
        platform=Product.KUBERNETES,
        deregistration_delay=delay,
        stops=stops,
        deployment=_deployment(pods, replicas),
        health_check_grace=_grace(probed[0].startup or probed[0].liveness) if probed else None,
        health_check=check,
        container_env={
            name: {key: text for key, text in program.environment.items() if text is not None}
            for name, program in programs.items()
        },
    )


def _deployment(pods: Pods, count: int) -> Deployment | None:
    """In ECS's numbers: percentages that come to the same number of pods."""
    if pods.kind == "Pod":
        return None
    # Defaults: of Deployments and Rollouts 25 % each; of the others one at a time, without surge.
    quarter = pods.kind in ("Deployment", "Rollout")
    surge = _share(pods.max_surge or ("25%" if quarter else "0"), count, up=True)
    away = _share(pods.max_unavailable or ("25%" if quarter else "1"), count, up=False)
    match pods.strategy:
        case "Recreate":
            surge, away = 0, count
        case "blueGreen":
            surge, away = count, 0
    if surge is None or away is None:
        return None
    if not surge and not away:
        away = 1  # both cannot be zero; rounded to zero, one may be away
    return Deployment(
        desired_count=count,
        minimum_healthy_percent=max(0, 100 * (count - away) // count),
        maximum_percent=-(-100 * (count + surge) // count),
        origin=Origin(OriginKind.FILE, (Step(pods.place, pods.called),)),
    )


def _share(text: str, count: int, *, up: bool) -> int | None:
    """Of "25%" or "1"; maxSurge is rounded up, maxUnavailable down (API reference, Deployment)."""
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        return None
    if number == text:
        return int(number)
    share = Fraction(count * int(number), 100)
    return -(-share.numerator // share.denominator) if up else int(share)


def _grace(probe: Probe | None) -> Setting | None:
    """How long a probe may fail before the container is started anew."""
    if probe is None:
        return None
    times = [effective(one, Product.KUBERNETES, default_option=_field(one)) for one in _times(probe)]
    values = [value_of(one) for one in times]
    option = _times(probe)[0].option.partition(".")[0]
    origin = Origin(OriginKind.FILE, (Step(probe.place, option),))
    delay, period = values
    if delay is None or period is None:
        reason = next((one.reason for one in times if isinstance(one, Unknown)), "it is not written")
        return Unknown(option=option, origin=origin, reason=reason)
    failures = probe.failure_threshold if probe.failure_threshold is not None else 3
    whole = delay + period * failures
    note = f"{delay} + {failures} × {period}"
    if all(isinstance(one, Default) for one in times) and probe.failure_threshold is None:
        return Default(
            option=option, origin=replace(origin, note=f"Kubernetes defaults: {note}"), value=whole
        )
    return Explicit(option=option, origin=replace(origin, note=note), value=Duration(whole.us))


def _times(probe: Probe) -> tuple[Read, Read]:
    return probe.initial_delay, probe.period


def _field(read: Read) -> str:
    return read.option.rpartition(".")[2]
