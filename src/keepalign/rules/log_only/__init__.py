"""Causes that show in logs and that no static check can find: one file each, named by its slug.

LOG_ONLY   all of them, in catalogue order
_cause     what such a cause is
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only import (
    client_request_timeout,
    lambda_error,
    lb_refused_request,
    no_healthy_targets,
    target_closed_mid_request,
    target_connect_timeout,
    target_connection_refused,
    target_generated_error,
    target_malformed_response,
    target_tls_failed,
    unexplained,
)
from keepalign.rules.log_only._cause import LogOnly

LOG_ONLY: Final[tuple[LogOnly, ...]] = (
    target_connect_timeout.CAUSE,
    target_generated_error.CAUSE,
    target_connection_refused.CAUSE,
    target_closed_mid_request.CAUSE,
    target_tls_failed.CAUSE,
    target_malformed_response.CAUSE,
    no_healthy_targets.CAUSE,
    lambda_error.CAUSE,
    client_request_timeout.CAUSE,
    lb_refused_request.CAUSE,
    unexplained.CAUSE,
)

__all__ = ["LOG_ONLY", "LogOnly"]
