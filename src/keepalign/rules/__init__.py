"""The catalogue of causes: one file each, named by its slug. The module docstring is the cause's page.

RULES     every rule, in catalogue order; the only list there is
CATALOGUE RULES, and the causes that show in logs only
check     all of them over a stack
log_only  the causes without a check
pages     the pages of all causes, and of the statuses that they show as
margins   how far apart timers are set; aws_commands: the commands that mitigations name
_rule     what a rule is, the runner, what rules have in common
_limits   which limits can cut a response, and what was declared
_silence  does a hop wait longer than the hops behind it stay silent
_workers  limits on the whole exchange
_callers  declared clients and CDNs, and what they keep longer than the other side
_reuse    which links re-use connections, and which side closes first
_signals  what a server does on which stop signal
_stops    how the containers of a path are stopped, and what is in flight then
_attempts how often a hop sends one request
_ladders  the pictures that go with the verdicts
"""

from __future__ import annotations

from typing import Final

from keepalign.model.checked import CheckResult
from keepalign.model.path import Stack
from keepalign.rules import (
    _rule,
    app_idle_timeout_during_request,
    app_stops_before_proxy,
    app_worker_timeout_below_lb,
    attempts_multiply_along_path,
    backend_keepalive_below_lb_idle,
    backend_keepalive_below_proxy_idle,
    cdn_read_below_origin_time,
    client_pool_idle_above_lb,
    client_pool_idle_above_server_keepalive,
    client_timeout_below_response_time,
    connection_limit_requests,
    deregistration_below_longest_request,
    headers_timeout_below_keepalive,
    health_check_grace_too_short,
    keepalive_above_stop_budget,
    keepalive_far_above_need,
    keepalive_holds_workers,
    keepalive_margin_thin,
    l4_flow_idle_exceeded,
    lb_idle_below_response_time,
    no_graceful_shutdown,
    no_prestop_drain,
    non_idempotent_retried,
    prestop_below_deregistration,
    probe_answered_by_proxy,
    probe_waits_behind_requests,
    proxy_read_below_app_timeout,
    recycled_worker_drops_connections,
    response_cut_by_total_timeout,
    retries_outlast_front_timeout,
    setting_has_no_effect,
    spot_notice_below_drain,
    stop_signal_not_passed_on,
    stop_timeout_below_drain,
    stream_ping_above_idle,
    sync_worker_behind_lb,
    tcp_keepalive_confusion,
    timeout_in_wrong_unit,
    unhealthy_target_serves_long,
    verdict_hangs_on_version,
    workers_recycled_together,
    zero_means_something_else,
)
from keepalign.rules._ladders import ladders
from keepalign.rules._rule import CRASHED, Rule
from keepalign.rules.log_only import LOG_ONLY, LogOnly

RULES: Final[tuple[Rule, ...]] = (
    backend_keepalive_below_lb_idle.RULE,
    backend_keepalive_below_proxy_idle.RULE,
    keepalive_margin_thin.RULE,
    headers_timeout_below_keepalive.RULE,
    client_pool_idle_above_server_keepalive.RULE,
    client_pool_idle_above_lb.RULE,
    l4_flow_idle_exceeded.RULE,
    tcp_keepalive_confusion.RULE,
    connection_limit_requests.RULE,
    lb_idle_below_response_time.RULE,
    cdn_read_below_origin_time.RULE,
    proxy_read_below_app_timeout.RULE,
    app_worker_timeout_below_lb.RULE,
    app_idle_timeout_during_request.RULE,
    response_cut_by_total_timeout.RULE,
    client_timeout_below_response_time.RULE,
    sync_worker_behind_lb.RULE,
    deregistration_below_longest_request.RULE,
    no_prestop_drain.RULE,
    prestop_below_deregistration.RULE,
    no_graceful_shutdown.RULE,
    stop_timeout_below_drain.RULE,
    health_check_grace_too_short.RULE,
    keepalive_above_stop_budget.RULE,
    keepalive_holds_workers.RULE,
    stop_signal_not_passed_on.RULE,
    non_idempotent_retried.RULE,
    retries_outlast_front_timeout.RULE,
    attempts_multiply_along_path.RULE,
    recycled_worker_drops_connections.RULE,
    workers_recycled_together.RULE,
    probe_waits_behind_requests.RULE,
    probe_answered_by_proxy.RULE,
    unhealthy_target_serves_long.RULE,
    spot_notice_below_drain.RULE,
    app_stops_before_proxy.RULE,
    stream_ping_above_idle.RULE,
    verdict_hangs_on_version.RULE,
    timeout_in_wrong_unit.RULE,
    zero_means_something_else.RULE,
    keepalive_far_above_need.RULE,
    setting_has_no_effect.RULE,
)

CATALOGUE: Final[tuple[Rule | LogOnly, ...]] = (*RULES, *LOG_ONLY)


def check(stack: Stack) -> CheckResult:
    """What every rule says of every path, with the paths' ladders. A failing rule does not raise."""
    return _rule.check(stack, RULES, {path.name: ladders(path, stack) for path in stack.paths})


__all__ = ["CATALOGUE", "CRASHED", "LOG_ONLY", "RULES", "CheckResult", "LogOnly", "Rule", "check"]
