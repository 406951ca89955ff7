"""The catalogue of causes: one file each, named by its slug. The module docstring is the cause's page.

RULES     every rule, in catalogue order; the only list there is
CATALOGUE RULES, and the causes that show in logs only
check     all of them over a stack
log_only  the causes without a check
pages     the pages of all causes, and of the statuses that they show as
_rule     what a rule is, the runner, what rules have in common
_limits   which limits can cut a response, and what was declared
_silence  does a hop wait longer than the hops behind it stay silent
_workers  limits on the whole exchange
_reuse    which links re-use connections, and which side closes first
_signals  what a server does on which stop signal
_stops    how the containers of a path are stopped, and what is in flight then
_ladders  the pictures that go with the verdicts
_aws      the commands that mitigations name
"""

from __future__ import annotations

from typing import Final

from keepalign.model.checked import CheckResult
from keepalign.model.path import Stack
from keepalign.rules import (
    _rule,
    app_worker_timeout_below_lb,
    backend_keepalive_below_lb_idle,
    backend_keepalive_below_proxy_idle,
    deregistration_below_longest_request,
    keepalive_above_stop_budget,
    keepalive_holds_workers,
    keepalive_margin_thin,
    lb_idle_below_response_time,
    no_graceful_shutdown,
    proxy_read_below_app_timeout,
    response_cut_by_total_timeout,
    stop_timeout_below_drain,
    sync_worker_behind_lb,
)
from keepalign.rules._ladders import ladders
from keepalign.rules._rule import CRASHED, Rule
from keepalign.rules.log_only import LOG_ONLY, LogOnly

RULES: Final[tuple[Rule, ...]] = (
    backend_keepalive_below_lb_idle.RULE,
    backend_keepalive_below_proxy_idle.RULE,
    keepalive_margin_thin.RULE,
    lb_idle_below_response_time.RULE,
    proxy_read_below_app_timeout.RULE,
    app_worker_timeout_below_lb.RULE,
    response_cut_by_total_timeout.RULE,
    sync_worker_behind_lb.RULE,
    deregistration_below_longest_request.RULE,
    no_graceful_shutdown.RULE,
    stop_timeout_below_drain.RULE,
    keepalive_above_stop_budget.RULE,
    keepalive_holds_workers.RULE,
)

CATALOGUE: Final[tuple[Rule | LogOnly, ...]] = (*RULES, *LOG_ONLY)


def check(stack: Stack) -> CheckResult:
    """What every rule says of every path, with the paths' ladders. A failing rule does not raise."""
    return _rule.check(stack, RULES, {path.name: ladders(path, stack) for path in stack.paths})


__all__ = ["CATALOGUE", "CRASHED", "LOG_ONLY", "RULES", "CheckResult", "LogOnly", "Rule", "check"]
