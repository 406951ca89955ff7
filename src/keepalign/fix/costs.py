"""What a change costs beside what it cures, and whether it can make requests fail that are answered now."""

from __future__ import annotations

from typing import Final

from keepalign.model.checked import Change
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

_BALANCERS: Final = (Product.AWS_ALB, Product.AWS_CLOUDFRONT, Product.AWS_NLB)


def is_in_balancer(change: Change, path: RequestPath) -> bool:
    """Whether a change takes effect in the balancer, at once, and not in targets, with their next deploy."""
    if change.role is Role.DEREGISTRATION_DELAY:
        return True
    hop = _hop(change, path)
    return hop is not None and hop.product in _BALANCERS


def is_of_client(change: Change, path: RequestPath) -> bool:
    """Whether a change is one of a declared client, which neither a deploy nor the balancer brings."""
    return change.role is not Role.DEREGISTRATION_DELAY and _hop(change, path) is None


def is_lower(change: Change) -> bool:
    """Whether a change makes a time shorter; an unlimited one is longer than any."""
    old = value_of(change.setting)
    return old is None or change.value < old


def cost_of(change: Change, stack: Stack) -> tuple[str, bool]:
    """The cost of a change in words, empty where none is known, and whether it is safe."""
    path = next(path for path in stack.paths if path.name == change.path)
    hop, new = _hop(change, path), change.value
    if is_lower(change):
        limits_responses = hop is not None and hop.product is Product.AWS_ALB
        return _of_lowering(change, _longest(change, stack), limits_responses=limits_responses)
    match change.role:
        case Role.SERVER_IDLE if hop is not None and _holds_a_worker(hop):
            return f"each idle connection holds a worker of {change.hop} for up to {new}", False
        case Role.SERVER_IDLE | Role.UPSTREAM_POOL_IDLE if hop is not None and hop.product in _BALANCERS:
            return f"a client or target that hangs is given up after {new}", True
        case Role.SERVER_IDLE:
            return f"{change.hop} keeps idle connections open for up to {new}", True
        case Role.UPSTREAM_READ:
            return f"a request that hangs is given up after {new}", True
        case Role.HANDLER_TIMEOUT:
            return f"a worker that hangs is ended after {new}", True
        case Role.DEREGISTRATION_DELAY:
            return f"each target that a deploy takes away drains for up to {new}", True
        case Role.STOP_TIMEOUT:
            return f"a container that does not end by itself is killed only {new} after its stop signal", True
        case Role.SHUTDOWN_GRACE:
            return f"a stop takes up to {new} while requests run", True
        case Role.PRE_STOP:
            return f"each stop takes {new} longer, within the grace period of the pod", True
        case Role.HEALTH_CHECK_GRACE:
            return f"a target that never becomes healthy is replaced after {new}", True
        case _:
            return "", True


def _of_lowering(change: Change, longest: Duration | None, *, limits_responses: bool) -> tuple[str, bool]:
    """What is lost, and whether no declared request is.

    Args:
        longest: the longest request that anybody declared for this hop; None where not all are declared.
        limits_responses: the one idle timeout of a balancer, which ends silent responses as well.
    """
    new = change.value
    safe = longest is not None and longest < new
    match change.role:
        case Role.SERVER_IDLE | Role.UPSTREAM_POOL_IDLE if not limits_responses:
            return f"connections that are idle for {new} are opened anew", True
        case Role.DEREGISTRATION_DELAY | Role.STOP_TIMEOUT | Role.SHUTDOWN_GRACE | Role.PRE_STOP:
            return f"requests that still run {new} after the begin of a stop are cut", safe
        case _:
            return f"whatever takes longer than {new} fails", safe


def _longest(change: Change, stack: Stack) -> Duration | None:
    endpoints = [e for p in stack.paths if _hop(change, p) is not None for e in p.endpoints]
    times = [endpoint.longest_request for endpoint in endpoints]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def _hop(change: Change, path: RequestPath) -> Hop | None:
    return next((hop for hop in path.hops if hop.name == change.hop), None)


def _holds_a_worker(hop: Hop) -> bool:
    """Whether an idle connection keeps a worker busy: Apache's prefork and worker (docs: "mpm_common")."""
    return hop.product is Product.APACHE_HTTPD and hop.traits.get("mpm") in ("prefork", "worker")
