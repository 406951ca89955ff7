"""Envoy's default access log, and Istio's."""

from __future__ import annotations

import pytest
from tests.logs.witness.said import told, utc

from keepalign.logs.witness.envoy import Envoy
from keepalign.model.observation import Saw
from keepalign.units import Duration

LINE = (
    '[2026-11-23T00:32:20.123Z] "GET /orders?x=1 HTTP/1.1" {status} {flags} 0 95 1500 - "192.0.2.7" "curl"'
    ' "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "example.com" "10.0.0.9:8080"'
)


@pytest.mark.parametrize(
    ("status", "flags", "saw"),
    [
        (200, "-", Saw.ANSWERED),
        (503, "UC", Saw.BACKEND_CLOSED),
        (503, "UF,URX", Saw.BACKEND_REFUSED),
        (504, "UT", Saw.BACKEND_TIMED_OUT),
        (503, "UO", Saw.SATURATED),
        (503, "UH", Saw.BACKEND_REFUSED),
        (404, "NR", Saw.ANSWERED),
        (0, "DC", Saw.CLIENT_LEFT),
        (503, "LR", Saw.BACKEND_CLOSED),
        (502, "UPE", Saw.BACKEND_MALFORMED),
    ],
)
def test_flags_say_what_envoy_did(status: int, flags: str, saw: Saw) -> None:
    line = told(Envoy(), LINE.format(status=status, flags=flags))
    assert (line.saw, line.status, line.path, line.backend) == (saw, status, "/orders", "10.0.0.9:8080")
    assert line.when is not None
    assert (line.when.at, line.took) == (utc("2026-11-23T00:32:21.623Z"), Duration.of(ms=1500))


def test_line_with_istios_fields_is_read() -> None:
    line = told(
        Envoy(),
        '[2026-11-23T00:32:20.123Z] "POST /notify HTTP/1.1" 503 UC'
        ' upstream_reset_before_response_started{connection_termination} - "-" 0 95 1 - "-" "curl/8.5"'
        ' "56fd0f76-70e7-9135-a60e-66799df83b62" "notify" "10.0.0.9:8080" outbound|80||notify 10.0.0.1:45690'
        " 10.0.0.2:80 10.0.0.1:36914 - default",
    )
    assert (line.saw, line.method, line.backend) == (Saw.BACKEND_CLOSED, "POST", "10.0.0.9:8080")


def test_line_of_no_request_is_read() -> None:
    line = told(
        Envoy(),
        '[2026-11-23T00:32:20.123Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - -'
        " 10.0.0.8:8084 10.0.0.9:45690 - -",
    )
    assert (line.method, line.path, line.backend) == (None, None, None)
