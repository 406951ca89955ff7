"""Access logs: predefined formats, and formats as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.witness.said import told, utc

from keepalign.errors import UsageError
from keepalign.logs.witness.access_log import Combined, compile_format, formats_in
from keepalign.model.observation import Saw
from keepalign.units import Duration

AT = "[23/Nov/2026:01:32:20 +0100]"
COMMON = f'192.0.2.7 - - {AT} "GET /orders?x=1 HTTP/1.1" 502 157'
COMBINED = f'{COMMON} "-" "a \\x22b\\x22 \\"c\\""'
THEN = utc("2026-11-23T00:32:20Z")


@pytest.mark.parametrize(
    "line",
    [COMMON, COMBINED, f"example.com:443 {COMBINED}", COMMON.replace("- -", "- a name"), COMMON + " -"],
)
def test_predefined_formats_are_read(line: str) -> None:
    found = told(Combined("access.log"), line)
    assert (found.method, found.path, found.status) == ("GET", "/orders", 502)
    assert found.when is not None
    assert (found.when.at, found.when.precision, found.took) == (THEN, Duration.of(s=1), None)


def test_status_499_is_a_client_that_left() -> None:
    assert told(Combined("x"), COMMON.replace(" 502 ", " 499 ")).saw is Saw.CLIENT_LEFT


def test_bytes_that_are_no_request_have_no_path() -> None:
    found = told(Combined("x"), COMMON.replace("GET /orders?x=1 HTTP/1.1", "\\x16\\x03\\x01"))
    assert (found.method, found.path, found.status) == (None, None, 502)


@pytest.mark.parametrize(
    ("tail", "took"),
    [
        ('0.120 0.119 502 127.0.0.1:8000 "Root=1-67891233-abcdef012345678912345678"', 0.12),
        ('"203.0.113.7" 0.120', 0.12),
        ('rt=0.120 uct="0.001" uht="0.119" urt="0.119"', 0.12),
        ("request_time=0.120", 0.12),
    ],
)
def test_seconds_behind_the_agent_are_nginx_and_date_the_end(tail: str, took: float) -> None:
    line = f"{COMBINED} {tail}"
    found = told(Combined("x", [line]), line)
    assert found.took == Duration.of(s=took)
    assert found.when is not None
    assert found.when.at == THEN


@pytest.mark.parametrize("tail", ["1500000", "1/1500000", '"203.0.113.7" 1500000'])
def test_microseconds_behind_the_agent_are_apache_and_date_the_beginning(tail: str) -> None:
    line = f"{COMBINED} {tail}"
    found = told(Combined("x", [line]), line)
    assert (found.server, found.took) == ("apache", Duration.of(ms=1500))
    assert found.when is not None
    assert found.when.at == THEN + Duration.of(ms=1500)


@pytest.mark.parametrize("tail", ["512 1033", "3", "-", ""])
def test_whole_numbers_that_may_be_anything_are_no_time(tail: str) -> None:
    line = f"{COMBINED} {tail}"
    assert told(Combined("x", [line]), line).took is None


MAIN = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"'
    ' "$http_user_agent" $request_time $upstream_response_time $upstream_status $upstream_addr'
)


def test_format_of_nginx_is_read_with_its_lists_of_upstreams() -> None:
    form = compile_format(MAIN)
    line = f"{COMBINED} 0.120 0.001, 0.119 : 0.000 502, 502 : 504 10.0.0.8:80, 10.0.0.9:80 : 10.0.0.7:80"
    found = told(form, line)
    assert (found.server, found.status, found.took) == ("nginx", 502, Duration.of(ms=120))
    assert found.backend == "10.0.0.8:80, 10.0.0.9:80 : 10.0.0.7:80"
    assert told(form, f"{COMBINED} 0.120 - - -").backend is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("$msec $status $request_time $request_method $request_uri",
         "1795393940.000 502 1.500 GET /orders?x=1"),
        ('{"t":"$time_iso8601","s":$status,"r":"$request","d":$request_time}',
         '{"t":"2026-11-23T01:32:20+01:00","s":502,"r":"GET /orders?x=1 HTTP/1.1","d":1.500}'),
        ("%(t)s %(s)s %(L)s %(m)s %(U)s", f"{AT} 502 1.500000 GET /orders"),
        ("%(t)s %(s)s %(M)s '%(r)s'", f"{AT} 502 1500 'GET /orders HTTP/1.1'"),
        ('%h "%r" %>s %{end:msec}t %{ms}T', '192.0.2.7 "GET /orders HTTP/1.1" 502 1795393940000 1500'),
    ],
)  # fmt: skip
def test_format_whose_time_is_the_end(text: str, line: str) -> None:
    found = told(compile_format(text), line)
    assert (found.method, found.path, found.status) == ("GET", "/orders", 502)
    assert found.took == Duration.of(ms=1500)
    assert found.when is not None
    assert found.when.at == THEN


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-Agent}i\\" %D', f"{COMBINED} 1500000"),
        ('%v:%p %h %l %u %t "%r" %>s %O %D', f'a:80 192.0.2.7 - - {AT} "GET /orders HTTP/1.1" 502 1 1500000'),
        ("%{%Y-%m-%dT%H:%M:%S%z}t %m %U %>s %{us}T", "2026-11-23T01:32:20+0100 GET /orders 502 1500000"),
        ("%{usec}t %m %U %s %D %!200{X-Y}i", "1795393940000000 GET /orders 502 1500000 any words"),
    ],
)
def test_format_whose_time_is_the_beginning(text: str, line: str) -> None:
    found = told(compile_format(text), line)
    assert (found.method, found.path, found.status) == ("GET", "/orders", 502)
    assert found.when is not None
    assert found.when.at == THEN + Duration.of(ms=1500)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("$status $request", "no time"),
        ("$time_local $request", "no status"),
        ("$time_local $status", "no request"),
        ("$http_a$http_b $time_local $status $request", "followed at once by"),
        ("plain words", "no time"),
        ("", "no time"),
    ],
)
def test_format_that_says_too_little_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        compile_format(text)
    assert says in refused.value.message


def test_formats_are_found_in_a_configuration() -> None:
    nginx = """
    http {
        log_format  main  '$remote_addr [$time_local] "$request" '
                          '$status';
        log_format json escape=json '{"t":"$time_iso8601","s":$status,"r":"$request"}';
        access_log /var/log/nginx/access.log main;
    }"""
    assert formats_in(nginx) == [
        '$remote_addr [$time_local] "$request" $status',
        '{"t":"$time_iso8601","s":$status,"r":"$request"}',
    ]
    apache = 'LogFormat "%h %t \\"%r\\" %>s" short\nCustomLog logs/access_log "%t %r %s"\nCustomLog a short\n'
    assert formats_in(apache) == ['%h %t \\"%r\\" %>s', "%t %r %s"]
    assert formats_in(" $time_local ") == ["$time_local"]


VARIABLES = [
    "$status",
    "$time_local",
    "$request",
    "$x",
    "%t",
    "%>s",
    "%r",
    "%{X}i",
    "%(t)s",
    '"',
    " ",
    "[",
    "a",
    "%%",
    "$",
]


@given(st.lists(st.sampled_from(VARIABLES)).map("".join), st.text())
def test_any_format_is_compiled_or_refused_and_any_line_read_or_not(text: str, line: str) -> None:
    try:
        form = compile_format(text)
    except UsageError:
        return
    found = form.read(line)
    assert found is None or found.when is not None


@given(st.text())
def test_any_text_holds_formats(text: str) -> None:
    assert formats_in(text)


@pytest.mark.parametrize("unit", ["a", " ", '"', "\\", "[", '" "', "0.1, ", "- "])
@pytest.mark.timeout(20)
def test_long_hostile_line_takes_no_longer_than_its_length(unit: str) -> None:
    line = f'192.0.2.7 - - {AT} "{unit * (1_000_000 // len(unit))}'
    assert Combined("x").read(line) is None
    assert compile_format(MAIN).read(line) is None
