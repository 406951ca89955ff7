"""The catalogue of causes: one file each, named by its slug. The module docstring is the cause's page.

RULES     every rule, in catalogue order; the only list there is
check     all of them over a stack
_rule     what a rule is, the runner, what rules have in common
_limits   which limits can cut a response, and what was declared
_ladders  the pictures that go with the verdicts
_aws      the commands that mitigations name
"""

from __future__ import annotations

from typing import Final

from keepalign.model.checked import CheckResult
from keepalign.model.path import Stack
from keepalign.rules import (
    _rule,
    backend_keepalive_below_lb_idle,
    deregistration_below_longest_request,
    lb_idle_below_response_time,
)
from keepalign.rules._ladders import ladders
from keepalign.rules._rule import CRASHED, Rule

RULES: Final[tuple[Rule, ...]] = (
    backend_keepalive_below_lb_idle.RULE,
    lb_idle_below_response_time.RULE,
    deregistration_below_longest_request.RULE,
)


def check(stack: Stack) -> CheckResult:
    """What every rule says of every path, with the paths' ladders. A failing rule does not raise."""
    return _rule.check(stack, RULES, {path.name: ladders(path, stack) for path in stack.paths})


__all__ = ["CRASHED", "RULES", "CheckResult", "Rule", "check"]
