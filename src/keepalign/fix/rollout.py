"""The order in which changes may take effect, so that no step of it opens a window for errors.

A balancer's attribute holds at once, for the running targets too. What targets say holds for those that a
deploy starts, while the old ones still run, and are stopped under their old times. So whatever makes the
balancer more patient with a stop comes before the deploy; what makes it keep connections for longer comes
when the last old target is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from keepalign.fix.costs import is_in_balancer, is_lower, is_of_client
from keepalign.model.checked import Change, Stage
from keepalign.model.path import Stack
from keepalign.model.timers import Role


def roll_out(changes: Iterable[Change], stack: Stack) -> tuple[Stage, ...]:
    """The stages of a roll-out in order; none where all changes may take effect together."""
    paths = {path.name: path for path in stack.paths}
    first: list[Change] = []
    deploy: list[Change] = []
    last: list[Change] = []
    clients: list[Change] = []
    for change in changes:
        if is_of_client(change, paths[change.path]):
            clients.append(change)
        elif not is_in_balancer(change, paths[change.path]):
            deploy.append(change)
        elif is_lower(change) is (change.role is not Role.DEREGISTRATION_DELAY):
            first.append(change)
        else:
            last.append(change)
    stages = []
    if first:
        why = "the deploy itself takes targets away, and the old ones stop under the old times"
        if any(change.role is not Role.DEREGISTRATION_DELAY for change in first):
            why = "from then on the balancer keeps connections no longer than the old targets do"
        stages.append(Stage("Change the balancer first; it holds at once.", why, tuple(first)))
    if deploy:
        why = "while old targets run, a longer idle timeout of the balancer outlives theirs" if last else ""
        what = "Deploy the targets, and wait until the last old one is gone."
        stages.append(Stage(what, why, tuple(deploy)))
    if last:
        stages.append(Stage("Then change the balancer's other times.", "", tuple(last)))
    if len(stages) < 2:
        return ()
    if clients:
        stages.append(Stage("Change the clients at any time.", "", tuple(clients)))
    return tuple(stages)
