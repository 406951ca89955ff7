"""The AWS commands that mitigations name. keepalign prints them and never runs them."""

from __future__ import annotations

from keepalign.units import Duration


def _seconds(value: Duration) -> int:
    """Whole seconds, as the attributes take them."""
    return -(-value.us // 1_000_000)


def set_idle_timeout(value: Duration) -> str:
    """Takes effect at once, on new and idle connections."""
    return (
        'aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$ALB_ARN"'
        f" --attributes Key=idle_timeout.timeout_seconds,Value={_seconds(value)}"
    )


def set_deregistration_delay(value: Duration) -> str:
    """Holds for targets that are deregistered after it."""
    return (
        'aws elbv2 modify-target-group-attributes --target-group-arn "$TARGET_GROUP_ARN"'
        f" --attributes Key=deregistration_delay.timeout_seconds,Value={_seconds(value)}"
    )


def set_unhealthy_threshold(count: int) -> str:
    """Checks in a row that make a target unhealthy; at most ten."""
    return (
        'aws elbv2 modify-target-group --target-group-arn "$TARGET_GROUP_ARN"'
        f" --unhealthy-threshold-count {count}"
    )
