"""The rules of Ingresses, as those of a balancer's listener: which requests reach which Service."""

from __future__ import annotations

from collections.abc import Sequence

from keepalign.join.kubernetes_objects import Held
from keepalign.readers._aws import Listener, ListenerRule
from keepalign.readers.kubernetes.fragment import Backend, Ingress, IngressRule


def address(backend: Backend) -> str:
    """Of a target group: what tells it from the others of its balancer."""
    return f"{backend.service}:{backend.port if backend.port is not None else ''}"


def backends(members: Sequence[Held[Ingress]]) -> list[tuple[Held[Ingress], Backend]]:
    """Each Service and port once, in the order of the rules."""
    found: dict[tuple[str, str], tuple[Held[Ingress], Backend]] = {}
    for one in members:
        for rule in one.item.rules:
            for backend in rule.backends:
                found.setdefault((one.item.namespace, address(backend)), (one, backend))
    return list(found.values())


def listener(name: str, members: Sequence[Held[Ingress]]) -> Listener:
    """The rules of Ingresses as those of a listener."""
    rules: list[ListenerRule] = []
    default: tuple[str, ...] = ()
    for one in members:
        # Exact paths first, then the longer ones (Kubernetes, "Ingress", multiple matches).
        for rule in sorted(one.item.rules, key=lambda r: (r.type != "Exact", -len(r.path))):
            groups = tuple(address(backend) for backend in rule.backends)
            if rule.host is None and rule.path in ("/", "/*") and rule.type != "Exact":
                default = default or groups
                continue
            rules.append(
                ListenerRule(
                    address=f"{one.item.called} {rule.path}",
                    place=one.item.place,
                    target_groups=groups,
                    unknown_target=False,
                    priority=len(rules) + 1,
                    paths=_patterns(rule, one.item),
                    hosts=(rule.host,) if rule.host is not None else (),
                    further=(),
                )
            )
    groups = tuple(dict.fromkeys((*(g for rule in rules for g in rule.target_groups), *default)))
    return Listener(
        address=name,
        place=members[0].item.place,
        load_balancer=name,
        target_groups=groups,
        port=None,
        protocol=None,
        default_groups=default,
        rules=tuple(rules),
    )


def _patterns(rule: IngressRule, ingress: Ingress) -> tuple[str, ...] | None:
    """The paths that a rule takes, as patterns; None where it is a regular expression."""
    if ingress.annotations.get("nginx.ingress.kubernetes.io/use-regex") == "true" or "(" in rule.path:
        return None
    if rule.type == "Exact" or rule.path.endswith("*"):
        return (rule.path,)
    return (rule.path, f"{rule.path.rstrip('/')}/*")
