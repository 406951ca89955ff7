"""The attributes of a load balancer and its target group, and our policies where AWS states nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalign.machines.pool import PoolPolicy
from keepalign.machines.target_group import HealthCheckConfig
from keepalign.units import Duration


@dataclass(frozen=True, slots=True)
class BalancerConfig:
    """One listener, one target group.

    Args:
        idle_timeout: `idle_timeout.timeout_seconds`: both sides; also the longest silence of a target.
        deregistration_delay: `deregistration_delay.timeout_seconds`.
        client_keep_alive: `client_keep_alive.seconds`: age from which a client connection is closed after its
            next response.
        connect_timeout: 10 s; no attribute changes it, a scaled run does.
        deregistration_lag: how long the node goes on routing to a deregistered target. Users of the AWS Load
            Balancer Controller saw 5 to 15 s (its issues 905 and 1719); the default lies between.
        pool_policy: see PoolPolicy.
        dns_name: Host for a client of HTTP/1.0 that sends none; host of the log for a malformed request.
        listener_port: the public port: in the log, in X-Forwarded-Port, and in the rule for Host.
        name: "app/name/id". node_address: of this node, the last field of the log.

    Raises: ValueError: a time that must be positive is not, or one is negative.
    """

    idle_timeout: Duration
    deregistration_delay: Duration
    client_keep_alive: Duration = field(default=Duration.of(s=3600))
    connect_timeout: Duration = field(default=Duration.of(s=10))
    health_check: HealthCheckConfig = field(default_factory=HealthCheckConfig)
    deregistration_lag: Duration = field(default=Duration.of(s=10))
    pool_policy: PoolPolicy = PoolPolicy.LIFO
    dns_name: str = "keepalign-lab-1234567890.eu-central-1.elb.amazonaws.com"
    listener_port: int = 80
    name: str = "app/keepalign-lab/50dc6c495c0c9188"
    node_address: str = "127.0.0.1"
    target_group_arn: str = (
        "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/keepalign-lab/73e2d6bc24d8a067"
    )

    def __post_init__(self) -> None:
        for name, time in (
            ("idle_timeout", self.idle_timeout),
            ("client_keep_alive", self.client_keep_alive),
            ("connect_timeout", self.connect_timeout),
        ):
            if time.us <= 0:
                raise ValueError(f"{name} is {time}; it must be positive")
        for name, time in (
            ("deregistration_delay", self.deregistration_delay),
            ("deregistration_lag", self.deregistration_lag),
        ):
            if time.us < 0:
                raise ValueError(f"{name} is {time}; it must not be negative")
