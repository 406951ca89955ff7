"""Health check logs: why a target failed, with every line accounted for."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.logs import alb
from keepalign.logs.health import FIELDS, health_checks
from keepalign.model.observation import HealthCheck, Rejected

AT = "2026-11-22T10:00:00.123456Z"
PASS = f"http {AT} 0.019584011 10.0.0.1:80 orders PASS 200 -"
FAIL = f"https {AT} 5.000121980 10.0.0.2:80 orders FAIL - Timeout app/lb/50dc6c495c0c9188 192.0.2.9 new"


def read(data: str) -> tuple[list[HealthCheck], list[Rejected]]:
    """Checks and rejections."""
    items = list(health_checks(io.BytesIO(data.encode()), file="hc.log"))
    return (
        [item for item in items if isinstance(item, HealthCheck)],
        [item for item in items if isinstance(item, Rejected)],
    )


def test_checks_say_when_and_why_a_target_failed() -> None:
    (passed, failed), rejected = read(f"{PASS}\n\n{FAIL}\n")
    assert not rejected
    assert passed == HealthCheck(passed.at, "10.0.0.1:80", "orders", True, "")
    assert passed.at == alb.instant(AT)
    assert (failed.target, failed.healthy, failed.reason) == ("10.0.0.2:80", False, "Timeout")


def test_reason_comes_with_the_status_that_was_answered() -> None:
    (found,), _ = read(f"http {AT} 0.01 10.0.0.1:80 orders FAIL 503 TargetError")
    assert found.reason == "TargetError (status 503)"


@pytest.mark.parametrize(
    ("status", "reason", "healthy"),
    [
        ("PASS", "-", True),
        ("Healthy", "-", True),
        ("FAIL", "-", False),
        ("unhealthy", "Target.Timeout", False),
        ("Odd", "-", True),
        ("Odd", "Target.Timeout", False),
    ],
)
def test_word_that_is_new_fails_where_it_has_a_reason(status: str, reason: str, healthy: bool) -> None:
    (found,), _ = read(f"http {AT} 0.01 10.0.0.1:80 orders {status} - {reason}")
    assert found.healthy == healthy
    assert bool(found.reason) != healthy


def test_vended_json_is_read_the_same() -> None:
    record = dict(zip(FIELDS, FAIL.split(" "), strict=False)) | {"elb": "app/lb/1", "status_code": None}
    wrapped = json.dumps({"events": [{"message": json.dumps(record)}]}, indent=1)
    assert read(json.dumps(record)) == read(FAIL)
    assert read(wrapped) == read(FAIL)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"http {AT} 0.01 10.0.0.1:80 orders", "the line ends after 5 fields, before status"),
        (PASS.replace("10.0.0.1:80", "-"), "there is no target_addr"),
        (PASS.replace("2026-11", "2026-13"), "'2026-13-22T10:00:00.123456Z' is no time like"),
        ('{"a": 1}', "'-' is no time like"),
    ],
)
def test_line_that_cannot_be_read_says_why(text: str, reason: str) -> None:
    checks, (one,) = read(f"{PASS}\n{text}\n{PASS}")
    assert len(checks) == 2
    assert (one.file, one.line) == ("hc.log", 2)
    assert one.reason.startswith(reason)


@given(st.lists(st.binary(max_size=60) | st.sampled_from((PASS, FAIL, "", "{")).map(str.encode)))
def test_any_bytes_are_checks_or_rejections(parts: list[bytes]) -> None:
    data = b"\n".join(part.replace(b"\n", b"") for part in parts)
    for item in health_checks(io.BytesIO(data), file="hc.log"):
        assert isinstance(item, HealthCheck | Rejected)
        if isinstance(item, Rejected):
            assert 1 <= item.line <= data.count(b"\n") + 1
