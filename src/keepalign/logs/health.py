"""ALB health check logs (ALB guide, "Health check logs"; since November 2025): why and when a target failed.

Fields: type, time, latency, target_addr, target_group_id, status, status_code, reason_code, then elb and
ip_address, and whatever will follow. Vended log delivery writes the same as JSON (CDK reference,
CfnLoadBalancerAlbHealthCheckLogsRecordFields).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from keepalign.logs import alb
from keepalign.logs.formats import records
from keepalign.model.observation import HealthCheck, Rejected

FIELDS: Final = (
    "type",
    "time",
    "latency",
    "target_addr",
    "target_group_id",
    "status",
    "status_code",
    "reason_code",
)
_PASSED: Final = frozenset({"pass", "passed", "success", "succeeded", "healthy", "ok"})
_FAILED: Final = frozenset({"fail", "failed", "failure", "unhealthy", "timeout", "error"})


def health_checks(stream: BinaryIO, *, file: str) -> Iterator[HealthCheck | Rejected]:
    """One check, or a rejection, for each line that is not empty; in their order, which is not always time's.

    Args:
        stream: after gzip is taken off; lines of text, or JSON in any of the wrappings of vended logs.
    """
    return records(stream, FIELDS, _check, file=file)


def _check(values: Mapping[str, str]) -> HealthCheck | str:
    """The check, or why there is none."""
    if len(values) < 6:
        return f"the line ends after {len(values)} fields, before {FIELDS[len(values)]}"
    at = alb.instant(values["time"])
    if at is None:
        return f"{values['time'][:40]!r} is no time like 2026-11-22T10:00:00.123456Z"
    target = values["target_addr"]
    if target in ("-", ""):
        return "there is no target_addr"
    reason = values.get("reason_code", "-")
    reason = "" if reason == "-" else reason
    status = values["status"].lower()
    if status not in _PASSED | _FAILED:
        # A word that is new: a failure has a reason.
        status = "fail" if reason else "pass"
    if status in _PASSED:
        return HealthCheck(at, target, values["target_group_id"], True, "")
    code = values.get("status_code", "-")
    return HealthCheck(at, target, values["target_group_id"], False, _why(reason, code, values["status"]))


def _why(reason: str, code: str, status: str) -> str:
    """The reason code, with the status that the target answered, if it did."""
    answered = f" (status {code})" if code not in ("-", "") else ""
    return f"{reason or status}{answered}"
