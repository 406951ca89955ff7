"""Access logs as JSON lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.witness.said import told, utc

from keepalign.logs.witness.json_lines import JsonLines
from keepalign.model.observation import Saw
from keepalign.units import Duration

NGINX = (
    '{"time":"2026-11-23T00:32:20+00:00","status":%s,"request":"GET /a\\"b?x=1 HTTP/1.1",'
    '"request_time":0.120,"upstream_response_time":%s,"trace":"Root=1-67891233-abcdef012345678912345678"}'
)


@pytest.mark.parametrize(
    ("status", "upstream", "number"),
    [("200", '"0.120"', 200), ("009", '"0.000, 0.001"', 9), ("499", "", 499), ("502", "-", 502)],
)
def test_line_of_nginx_is_read_also_where_it_is_no_json(status: str, upstream: str, number: int) -> None:
    line = told(JsonLines("access.json"), NGINX % (status, upstream))
    assert (line.status, line.method, line.path) == (number, "GET", '/a"b')
    assert line.saw is (Saw.CLIENT_LEFT if number == 499 else Saw.ANSWERED)
    assert line.took == Duration.of(ms=120)
    assert line.when is not None
    assert line.when.at == utc("2026-11-23T00:32:20Z")


def test_line_of_envoy_is_dated_from_its_beginning() -> None:
    text = json.dumps(
        {
            "start_time": "2026-11-23T00:32:20.123Z",
            "method": "GET",
            "path": "/orders?x=1",
            "response_code": 503,
            "response_flags": "UC",
            "duration": 1500,
            "upstream_host": "10.0.0.9:8080",
        }
    )
    line = told(JsonLines("proxy.log"), text)
    assert (line.server, line.saw, line.backend) == ("envoy", Saw.BACKEND_CLOSED, "10.0.0.9:8080")
    assert line.when is not None
    assert (line.when.at, line.path) == (utc("2026-11-23T00:32:21.623Z"), "/orders")


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"ts": 1795393940.572, "status": 200, "uri": "/x"}, "2026-11-23T00:32:20.572Z"),
        ({"timestamp": 1795393940572, "code": "200", "url": "/x"}, "2026-11-23T00:32:20.572Z"),
        ({"time_local": "23/Nov/2026:01:32:20 +0100", "status": 200, "path": "/x"}, "2026-11-23T00:32:20Z"),
        (
            {"ts": 1795393940.0, "request": {"method": "GET", "uri": "/x"}, "status": 200},
            "2026-11-23T00:32:20Z",
        ),
    ],
)
def test_time_is_read_in_the_ways_people_write_it(said: dict[str, object], at: str) -> None:
    line = told(JsonLines("x"), json.dumps(said))
    assert line.when is not None
    assert (line.when.at, line.path) == (utc(at), "/x")


@pytest.mark.parametrize(
    "line", ["{}", "[]", "{", '{"time":"2026-11-23T00:32:20Z"}', "[" * 60_000, "{" * 60_000 + "}"]
)
def test_other_line_is_not_read(line: str) -> None:
    assert JsonLines("x").read(line) is None


@given(
    st.text()
    | st.dictionaries(
        st.sampled_from(["time", "status", "path", "duration", "request"]),
        st.text() | st.integers() | st.floats() | st.none(),
    ).map(json.dumps)
)
def test_any_text_is_read_or_not(text: str) -> None:
    line = JsonLines("x").read(text)
    assert line is None or line.when is not None
