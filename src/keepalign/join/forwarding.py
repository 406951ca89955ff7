"""Which of the declared endpoints the rules of a balancer's listeners forward to a target group.

An endpoint stands for all requests below its path, so a rule takes all of them, none, or some; and whether a
request meets a condition on its host, or on anything else but its path, nobody declares. Where it may, the
endpoint belongs to the target groups of the rule and to those of the rules that are asked later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from keepalign.model.workload import Endpoint, Workload, covers
from keepalign.readers._aws import Listener, ListenerRule


def forwarded(workload: Workload, group: str, listeners: Sequence[Listener]) -> Workload:
    """The workload as it reaches the target group at the address `group`.

    Args:
        listeners: those that forward to it; none where nothing is known of what leads to it. One that
            forwards to nothing else forwards everything.
    """
    if not listeners or any(len(one.target_groups) < 2 for one in listeners):
        return workload
    own: list[Endpoint] = []
    elsewhere: list[Endpoint] = []
    for endpoint in workload.endpoints:
        reached = any(group in _target_groups(listener, endpoint, workload) for listener in listeners)
        (own if reached else elsewhere).append(endpoint)
    return Workload(tuple(own), (*workload.elsewhere, *elsewhere))


def _target_groups(listener: Listener, endpoint: Endpoint, workload: Workload) -> set[str]:
    """What the requests of an endpoint reach.

    Source: Elastic Load Balancing guide, "Listener rules": the lowest priority is asked first, the first rule
    whose conditions are met decides, and the default action takes the rest.
    """
    # Redirects and fixed responses count for nothing.
    rules = [rule for rule in listener.rules if rule.target_groups or rule.unknown_target]
    taking = [(rule, takes) for rule in rules if (takes := _takes(rule, endpoint, workload)) is not False]
    # A rule whose priority is not known may be asked before any other; it is asked before the default action.
    counting = [(rule, takes) for rule, takes in taking if rule.priority is None]
    for rule, takes in sorted(taking, key=lambda pair: pair[0].priority or 0):
        if rule.priority is not None:
            counting.append((rule, takes))
            if takes:
                break
    found: set[str] = set()
    for rule, _ in counting:
        found.update(listener.target_groups if rule.unknown_target else rule.target_groups)
    if not any(takes for _, takes in counting):
        found.update(listener.target_groups if listener.unknown_target else listener.default_groups)
    return found


def _takes(rule: ListenerRule, endpoint: Endpoint, workload: Workload) -> bool | None:
    """Whether a rule takes the requests of an endpoint; None: some, or nobody can tell."""
    if not rule.paths:
        return None
    paths = [one.path for one in (*workload.endpoints, *workload.elsewhere)]
    found = {_matches(pattern, endpoint.path, paths) for pattern in rule.paths}
    if True in found:
        return True if rule.hosts == () and not rule.further else None
    return None if None in found else False


def _matches(pattern: str, path: str, paths: Iterable[str]) -> bool | None:
    """Whether a path pattern matches the requests of the endpoint at `path`; None: some of them.

    "/reports/*" takes the endpoint "/reports", which stands for what is below it; "/health" the endpoint of
    that name. Of an endpoint above a pattern it takes some, unless a longer one of `paths` speaks for those.
    """
    # "*" is any text and "?" one character, slashes included; nothing else is special, but is to fnmatch.
    glob = pattern.replace("[", "[[]")
    if pattern.endswith("*") and fnmatchcase(f"{path.rstrip('/')}/", glob):
        return True
    if path != "/" and fnmatchcase(path, glob):
        return True
    literal = re.split(r"[*?]", pattern, maxsplit=1)[0]
    if literal != pattern and path.startswith(literal):
        return None
    return None if path == max((p for p in paths if covers(p, literal)), key=len, default="") else False
