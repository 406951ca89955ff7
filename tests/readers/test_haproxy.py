"""HAProxyReader: sections and their defaults, fallbacks, routing, and that edits do what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.proxy_reads import (
    all_reads,
    assert_fragment_or_read_error,
    assert_sound,
    assert_writes_read_back,
    shown,
    the_listener,
    the_way,
    ways,
)
from tests.readers.sites import text_at, written

from keepalign.errors import ReadError
from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import SourceText, Unit
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyFragment
from keepalign.readers._reader import Absent
from keepalign.readers.haproxy import HAProxyReader
from keepalign.readers.haproxy._values import milliseconds as milliseconds_of

# After the haproxy.cfg that Red Hat's package ships, with the keep-alive of a public repository's.
SHIPPED = """\
global
    log         127.0.0.1 local2
    maxconn     4000
    daemon

defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 3
    timeout http-request    10s
    timeout queue           1m
    timeout connect         10s
    timeout client          1m
    timeout server          1m
    timeout http-keep-alive 10s
    timeout check           10s
    maxconn                 3000

frontend  main
    bind *:5000
    acl url_static       path_beg       -i /static /images
    acl url_static       path_end       -i .jpg .gif .png .css .js
    use_backend static          if url_static
    default_backend             app

backend static
    balance     roundrobin
    server      static 127.0.0.1:4331 check

backend app
    balance     roundrobin
    server  app1 127.0.0.1:5001 check
    server  app2 127.0.0.1:5002 check
"""
# Old names, as in the example of a scaling tool.
OLD = """\
defaults
    mode http
    retries 3
    contimeout 5000
    clitimeout 50000
    srvtimeout 20000

listen web 0.0.0.0:80
    option httpclose
    server one 10.0.0.1:8080 check
"""


def read(text: str) -> ProxyFragment:
    source = SourceText("haproxy.cfg", text.encode())
    fragment = HAProxyReader().read(source)
    assert_sound(source, fragment)
    return fragment


def simple(*, defaults: str = "", front: str = "", back: str = "") -> ProxyFragment:
    """One frontend and one backend with these lines."""
    return read(
        f"defaults\n mode http\n{defaults}\nfrontend web\n bind :80\n{front}\n default_backend app\n"
        f"backend app\n{back}\n server a app:8000\n"
    )


def idle(fragment: ProxyFragment) -> str:
    return shown(the_listener(fragment).settings, Role.SERVER_IDLE)


# Whole configurations


def test_shipped_configuration_reads_fully() -> None:
    fragment = read(SHIPPED)
    front = the_listener(fragment)
    assert (fragment.listens, front.name) == ((5000,), "main")
    assert idle(fragment) == "10 s"
    assert shown(front.settings, Role.SERVER_HEADER_READ) == "10 s"
    assert shown(front.settings, Role.SERVER_BODY_READ) == "60 s"
    assert front.traits == {"closes_idle_on_stop": "yes"}
    # The second line of the ACL asks for more than a prefix, so that much of it is not followed.
    assert [(w.name, w.prefixes, w.backends) for w in front.ways] == [
        ("static", ("/static", "/images"), (("127.0.0.1", 4331),)),
        ("app", ("/",), (("127.0.0.1", 5001), ("127.0.0.1", 5002))),
    ]
    for way in front.ways:
        assert way.traits == {"pool": "off", "retries": "off", "attempts": "1"}
        assert shown(way.settings, Role.UPSTREAM_READ) == "60 s"
        assert shown(way.settings, Role.UPSTREAM_CONNECT) == "10 s"
        assert Role.UPSTREAM_POOL_IDLE not in way.settings
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "absent hard-stop-after"
    assert fragment.notes == ()


def test_old_names_are_the_timeouts_of_today() -> None:
    fragment = read(OLD)
    front = the_listener(fragment)
    assert front.ports == (80,)
    assert isinstance(front.settings[Role.SERVER_IDLE], Disabled)
    assert shown(front.settings, Role.SERVER_BODY_READ) == "50 s"
    assert shown(the_way(fragment).settings, Role.UPSTREAM_READ) == "20 s"
    assert the_way(fragment).traits["pool"] == "off"


def test_values_name_the_bytes_that_write_them() -> None:
    source = SourceText("haproxy.cfg", SHIPPED.encode())
    fragment = HAProxyReader().read(source)
    setting = the_listener(fragment).ways[1].settings[Role.UPSTREAM_READ]
    assert isinstance(setting, Explicit)
    assert [step.what for step in setting.origin.steps] == ["default_backend app", "timeout server 1m"]
    assert setting.site is not None
    assert text_at(source, setting.origin.literal) == "timeout server          1m"
    assert text_at(source, setting.site.span) == "1m"
    assert (setting.site.template, setting.site.unit) == ("{value}s", Unit.SECONDS)


# As a script of a public repository writes it, before the shell puts its variables in.
GENERATED = """\
defaults
    mode    http
    option  http-keep-alive
    timeout client  20s
    timeout server  20s
    timeout tunnel  3600s
    timeout http-request 5s
    timeout http-keep-alive 15s

frontend services
    bind *:80
    acl url_${id}_front path_beg ${location}
    use_backend ${id}_back if url_${id}_front
    use_backend ${id}_back if { path_beg /static }

backend ${id}_back
    http-request set-path %[path,regsub(${location},/)]
    server ${id} ${id}:80
"""


def test_what_a_script_puts_in_is_not_known_and_the_rest_is() -> None:
    fragment = read(GENERATED)
    assert idle(fragment) == "15 s"
    unknown, static = the_listener(fragment).ways
    assert (unknown.prefixes, static.prefixes) == ((), ("/static",))
    assert static.backends == ((None, None),)
    assert shown(static.settings, Role.STREAM_IDLE) == "3600 s"


def test_shipped_by_debian_bare_numbers_are_milliseconds() -> None:
    fragment = simple(defaults="timeout connect 5000\ntimeout client  50000\ntimeout server  50000")
    way = the_way(fragment)
    assert (idle(fragment), shown(way.settings, Role.UPSTREAM_READ)) == ("50 s", "50 s")
    assert shown(way.settings, Role.UPSTREAM_CONNECT) == "5 s"
    setting = way.settings[Role.UPSTREAM_READ]
    assert setting.site is not None
    assert (setting.site.template, setting.site.unit) == ("{value}", Unit.MILLISECONDS)


# Times and their fallbacks


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60), ("60s", 60_000), ("500us", 1), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000),
        ("1.5s", None), ("60S", None), ("-1", None), ("", None), ("1m30s", None), ("40d", None), ("0", 0),
        ("2147483647", 2**31 - 1), ("2147483648", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_times_are_those_of_haproxy(text: str, value: int | None) -> None:
    """As `haproxy -c` of 2.6.12 accepts and refuses them; a bare number is milliseconds."""
    assert milliseconds_of(text) == value


@pytest.mark.parametrize(
    ("lines", "expected", "option"),
    [
        ("timeout http-keep-alive 2s\ntimeout http-request 5s", "2 s", "timeout http-keep-alive"),
        ("timeout http-request 5s\ntimeout client 50s", "5 s", "timeout http-request"),
        ("timeout client 50s", "50 s", "timeout client"),
        ("timeout http-keep-alive 0\ntimeout client 50s", "50 s", "timeout client"),
        ("timeout http-request 0\ntimeout client 50s", "50 s", "timeout client"),
        ("timeout client 0", "unlimited", "timeout client"),
        ("", "absent timeout http-keep-alive", "timeout http-keep-alive"),
        ("timeout client 60", "60 ms", "timeout client"),
        ("timeout client 9s\nno timeout client", "absent timeout http-keep-alive", "timeout http-keep-alive"),
    ],
)  # fmt: skip
def test_keep_alive_falls_back_on_the_request_and_client_timeouts(
    lines: str, expected: str, option: str
) -> None:
    fragment = simple(defaults=lines)
    assert idle(fragment) == expected
    assert the_listener(fragment).settings[Role.SERVER_IDLE].option == option


def test_a_fallback_is_edited_by_a_line_of_its_own() -> None:
    """Raising `timeout http-request` would give slow clients more time for their headers."""
    text = "defaults\n  mode http\n  timeout http-request 5s\nlisten web\n  bind :80\n  server a b:1\n"
    source = SourceText("haproxy.cfg", text.encode())
    setting = the_listener(HAProxyReader().read(source)).settings[Role.SERVER_IDLE]
    assert "timeout http-keep-alive is not set" in getattr(setting, "origin").note  # noqa: B009
    edited = written(source, setting.site, 75)
    assert "listen web\n  timeout http-keep-alive 75s\n  bind :80" in edited.data.decode()
    after = HAProxyReader().read(edited)
    assert idle(after) == "75 s"
    assert shown(the_listener(after).settings, Role.SERVER_HEADER_READ) == "5 s"


def test_a_client_timeout_below_keep_alive_is_told() -> None:
    """HAProxy 2.6.12 closes then: measured, and github.com/haproxy/haproxy/issues/2334."""
    setting = the_listener(simple(defaults="timeout client 10s\ntimeout http-keep-alive 60s")).settings[
        Role.SERVER_IDLE
    ]
    assert isinstance(setting, Explicit)
    assert "timeout client (10 s) is shorter" in setting.origin.note
    assert setting.value.seconds == 60


def test_the_frontend_decides_keep_alive_and_the_backend_its_own_waits() -> None:
    fragment = simple(
        defaults="timeout client 30s\ntimeout server 30s",
        front="timeout http-keep-alive 4s\ntimeout server 1s",
        back="timeout http-keep-alive 9s\ntimeout server 2m\ntimeout connect 3s",
    )
    assert idle(fragment) == "4 s"
    assert shown(the_way(fragment).settings, Role.UPSTREAM_READ) == "120 s"
    assert shown(the_way(fragment).settings, Role.UPSTREAM_CONNECT) == "3 s"


def test_tunnels_take_the_shorter_side_where_nothing_is_set_for_them() -> None:
    both = "timeout client 30s\ntimeout server 20s"
    assert shown(the_way(simple(defaults=both)).settings, Role.STREAM_IDLE) == "20 s"
    assert (
        shown(the_way(simple(defaults=f"{both}\ntimeout tunnel 1h")).settings, Role.STREAM_IDLE) == "3600 s"
    )
    assert shown(the_way(simple()).settings, Role.STREAM_IDLE) == "absent timeout tunnel"


def test_stop_times_are_those_of_the_global_section() -> None:
    fragment = read("global\n hard-stop-after 30s\n grace 5s\nlisten a\n mode http\n")
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "30 s"
    assert shown(fragment.settings, Role.SHUTDOWN_DELAY) == "5 s"


# Inheritance


def test_each_proxy_takes_the_last_defaults_above_it_or_the_one_it_names() -> None:
    fragment = read(
        "defaults first\n mode http\n timeout client 1s\n"
        "frontend a\n bind :1\n"
        "defaults second from first\n timeout http-keep-alive 2s\n"
        "frontend b\n bind :2\n"
        "defaults\n mode http\n"
        "frontend c\n bind :3\n"
        "frontend d from first\n bind :4\n"
    )
    found = {one.name: shown(one.settings, Role.SERVER_IDLE) for one in fragment.listeners}
    assert found == {"a": "1 s", "b": "2 s", "c": "absent timeout http-keep-alive", "d": "1 s"}


def test_defaults_that_do_not_exist_are_noted() -> None:
    fragment = read("frontend a from other\n mode http\n bind :1\n")
    assert "there is no defaults section 'other' above it" in fragment.notes[0].text


def test_files_are_read_one_behind_the_other() -> None:
    files = {
        "00.cfg": "global\n hard-stop-after 9s\ndefaults\n mode http\n timeout client 7s\n",
        "10.cfg": "frontend web\n bind :80\n default_backend app\n",
        "20.cfg": "backend app\n server a app:1\n",
    }
    sources = [SourceText(name, text.encode()) for name, text in files.items()]
    fragment = HAProxyReader().read_files(sources)
    assert (fragment.file, idle(fragment)) == ("00.cfg", "7 s")
    assert the_way(fragment).backends == (("app", 1),)


@pytest.mark.parametrize("mode", ["", "mode tcp\n"])
def test_what_passes_tcp_on_is_noted_and_no_listener(mode: str) -> None:
    """HAProxy's own default is tcp."""
    fragment = read(f"listen db\n bind :5432\n {mode} server a db:5432\n")
    assert fragment.listeners == ()
    assert "passes TCP on" in fragment.notes[0].text


# The pool and retries


@pytest.mark.parametrize(
    ("where", "pool", "kept"),
    [
        ({}, "on", "absent pool-purge-delay"),
        ({"defaults": "option http-keep-alive"}, "on", "absent pool-purge-delay"),
        ({"defaults": "option http-server-close"}, "off", ""),
        ({"front": "option http-server-close"}, "off", ""),
        ({"back": "option http-server-close"}, "off", ""),
        ({"back": "option httpclose"}, "off", ""),
        ({"defaults": "option http-server-close", "front": "no option http-server-close"}, "off", ""),
        (
            {
                "defaults": "option http-server-close",
                "front": "option http-keep-alive",
                "back": "option http-keep-alive",
            },
            "on", "absent pool-purge-delay",
        ),
        ({"back": "default-server pool-purge-delay 30s"}, "on", "30 s"),
        ({"back": "server b x:1 pool-purge-delay 40s check"}, "on", "40 s"),
        ({"back": "default-server pool-purge-delay 0"}, "off", ""),
        ({"back": "server b x:1 pool-purge-delay 0"}, "on", "absent pool-purge-delay"),
        ({"back": "default-server pool-max-conn 0"}, "off", ""),
        ({"back": "http-reuse always"}, "on", "absent pool-purge-delay"),
    ],
)  # fmt: skip
def test_pool_follows_from_either_side(where: dict[str, str], pool: str, kept: str) -> None:
    """Measured with 2.6.12: either side's http-server-close or httpclose closes the server's connection."""
    way = the_way(simple(**where))
    assert way.traits["pool"] == pool
    assert (shown(way.settings, Role.UPSTREAM_POOL_IDLE) if kept else "") == kept
    assert (Role.UPSTREAM_POOL_IDLE in way.settings) == (pool == "on")


def test_without_reuse_a_server_connection_lives_as_long_as_its_client() -> None:
    """Measured with 2.6.12: 12.0 s with timeout client 12s and http-reuse never."""
    way = the_way(simple(defaults="timeout client 12s", back="http-reuse never"))
    assert (way.traits["pool"], shown(way.settings, Role.UPSTREAM_POOL_IDLE)) == ("on", "12 s")


def test_httpclose_of_a_backend_leaves_the_clients_connection_open() -> None:
    assert idle(simple(defaults="timeout client 5s", back="option httpclose")) == "5 s"
    front = the_listener(simple(defaults="timeout client 5s", front="option httpclose"))
    assert isinstance(front.settings[Role.SERVER_IDLE], Disabled)


def test_retry_on_says_what_may_be_done_twice_and_after_which_failures() -> None:
    def both(lines: str) -> tuple[str | None, bool]:
        way = the_way(simple(back=lines))
        return way.traits.get("resends"), isinstance(way.settings.get(Role.UPSTREAM_RETRY), Disabled)

    assert both("") == (None, False)
    assert both("retry-on conn-failure empty-response") == (None, True)
    assert both("retry-on all-retryable-errors") == (None, False)
    assert both("retry-on 503 response-timeout") == ("all", False)
    assert both("retry-on 503\nhttp-request disable-l7-retry if METH_POST") == ("idempotent", True)


@pytest.mark.parametrize(
    ("lines", "retries", "attempts"),
    [
        ("", "off", "1"),
        ("retries 5", "off", "1"),
        ("retry-on all-retryable-errors", "all", "4"),
        ("retry-on conn-failure empty-response\nretries 2", "all", "3"),
        ("retry-on 503 response-timeout\nretries 1", "off", "2"),
        ("retry-on all-retryable-errors\nretries 0", "off", "1"),
        ("retry-on all-retryable-errors\nhttp-request disable-l7-retry if METH_POST", "idempotent", "4"),
        ("retry-on none", "off", "1"),
    ],
)
def test_only_retry_on_sends_a_request_again(lines: str, retries: str, attempts: str) -> None:
    way = the_way(simple(back=lines))
    assert (way.traits["retries"], way.traits["attempts"]) == (retries, attempts)


def test_idle_close_on_response_is_a_trait() -> None:
    front = the_listener(simple(front="option idle-close-on-response"))
    assert front.traits == {"closes_idle_on_stop": "no"}


# Routing


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("use_backend app if { path_beg /api }", [(("/api",), ())]),
        ("use_backend app if { path -m beg /api/ } { hdr(host) -i A.example.com:8080 }", [(("/api/",),
        ("a.example.com",))]),
        ("acl a path_beg /a\nacl a path_beg /b\nuse_backend app if a", [(("/a", "/b"), ())]),
        ("acl a path_beg /a\nacl h hdr(host) -i x.org\nuse_backend app if a h", [(("/a",), ("x.org",))]),
        ("acl h hdr(host) -i x.org y.org\nuse_backend app if h", [(("/",), ("x.org", "y.org"))]),
        ("use_backend app if { path_beg /a } || { path_beg /b }", [(("/a", "/b"), ())]),
        ("use_backend app if { path_beg /a } or { hdr(host) x.org }", [(("/a",), ()), (("/",), ("x.org",))]),
        ("acl v path_reg ^/v1(/|$)\nuse_backend app if v", [(("/v1",), ())]),
        ("use_backend app if { path_beg /a } !{ path_beg /a/b }", [(("/a",), ())]),
        ("use_backend app unless { path_beg /static }", [(("/",), ())]),
        ("use_backend app if { src 10.0.0.0/8 }", [((), ())]),
        ("use_backend app if { path_beg /a } { method POST }", [((), ())]),
        ("use_backend app if !{ ssl_fc }", [((), ())]),
        ("use_backend app if nobody_defines_this", [((), ())]),
        ("acl f path_beg -f /etc/haproxy/paths\nuse_backend app if f", [((), ())]),
        ("use_backend app if TRUE", [(("/",), ())]),
        ("use_backend app", [(("/",), ())]),
        ("acl s hdr_end(host) -i .example.com\nuse_backend app if s", [(("/",), ("*.example.com",))]),
    ],
)  # fmt: skip
def test_rules_tell_prefixes_and_hosts(
    lines: str, expected: list[tuple[tuple[str, ...], tuple[str, ...]]]
) -> None:
    fragment = read(
        f"defaults\n mode http\nfrontend web\n bind :80\n{lines}\nbackend app\n server a app:8000\n"
    )
    assert [(way.prefixes, way.hosts) for way in ways(fragment)] == expected
    assert bool(fragment.notes) == any(not prefixes for prefixes, _ in expected)


def test_an_acl_with_a_path_end_beside_a_prefix_is_not_all_of_it() -> None:
    (way, _) = the_listener(read(SHIPPED)).ways
    assert way.prefixes == ("/static", "/images")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("use_backend %[req.hdr(host),lower]", "chosen as requests come"),
        ("use_backend other", "there is no backend other"),
        ('use_backend "$BACKEND"', "$BACKEND is set where HAProxy is started"),
        ("use_backend {{ backend }}", "filled in when the template is rendered"),
    ],
)
def test_backends_that_cannot_be_followed_say_why(line: str, why: str) -> None:
    way = the_way(read(f"frontend web\n mode http\n bind :80\n {line}\n"))
    assert why in way.unresolved
    assert way.backends == ()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1:8000", ("10.0.0.1", 8000)), ("app", ("app", None)), ("[::1]:80", ("[::1]", 80)),
        ("unix@/run/app.sock", (None, None)), ("/run/app.sock", (None, None)), ("ipv4@app:80", ("app", 80)),
        ('"${HOST}:80"', (None, None)), ('"${HOST-app}:80"', ("app", 80)), ("{{ ip }}:80", (None, None)),
    ],
)  # fmt: skip
def test_addresses_of_servers(address: str, expected: tuple[str | None, int | None]) -> None:
    assert the_way(read(f"listen a\n mode http\n bind :1\n server s {address} check\n")).backends == (
        expected,
    )


def test_servers_come_in_the_order_of_use() -> None:
    text = "listen a\n mode http\n server x x:1 backup\n server y y:2 disabled\n server-template z 1-3 z:3\n"
    assert the_way(read(text)).backends == (("z", 3), ("x", 1))


@pytest.mark.parametrize(
    ("lines", "ports"),
    [
        ("bind *:80", (80,)), ("bind :80,:443 ssl crt /x.pem", (80, 443)),
        ("bind 0.0.0.0:8000-8002", (8000, 8001, 8002)),
        ("bind :::80 v4v6", (80,)), ("bind [::]:80", (80,)), ("bind /run/x.sock", ()),
        ("bind unix@/x:80y", ()),
        ("bind quic4@:443 ssl", (443,)), ('bind "*:${PORT}"', ()), ('bind "*:${PORT-8080}"', (8080,)),
        ("bind ipv4@10.0.0.1:80", (80,)), ("", ()),
    ],
)  # fmt: skip
def test_ports(lines: str, ports: tuple[int, ...]) -> None:
    assert the_listener(read(f"frontend a\n mode http\n {lines}\n")).ports == ports


# Words


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ("5s", "5 s"), ('"5s"', "5 s"), ("'5s'", "5 s"), ("5s#x", "5 s"), ('"${T-5s}"', "5 s"),
        ('"$T"', "unknown"),
        ('"${T:-5s}"', "5 s"), ("${T}", "unknown"), ("{{ t }}", "unknown"),
        ("{{ t | default('9s') }}", "unknown"),
        ("<%= @t %>", "unknown"), (r"5\s", "unknown"), ("never", "unknown"), ("5\\ s", "unknown"),
    ],
)  # fmt: skip
def test_words_as_haproxy_takes_them(written_as: str, expected: str) -> None:
    fragment = simple(front=f"timeout http-keep-alive {written_as}")
    assert idle(fragment) == expected


def test_a_default_of_the_environment_is_where_an_edit_goes() -> None:
    source = SourceText("haproxy.cfg", b'listen a\n mode http\n timeout http-keep-alive "${T-5s}"\n')
    setting = the_listener(HAProxyReader().read(source)).settings[Role.SERVER_IDLE]
    assert isinstance(setting, Explicit)
    assert setting.origin.note == "unless $T is set to something else where HAProxy is started"
    assert b'"${T-9s}"' in written(source, setting.site, 9).data


def test_what_the_configuration_sets_itself_is_known() -> None:
    text = 'global\n presetenv T 7s\nlisten a\n mode http\n timeout http-keep-alive "$T"\n'
    source = SourceText("haproxy.cfg", text.encode())
    setting = the_listener(HAProxyReader().read(source)).settings[Role.SERVER_IDLE]
    assert isinstance(setting, Explicit)
    assert setting.value.seconds == 7
    assert b"presetenv T 8s" in written(source, setting.site, 8).data


def test_values_of_the_environment_are_not_told() -> None:
    fragment = read(
        'global\n setenv PASSWORD hunter2\nlisten a\n mode http\n timeout client "$OTHER"\n'
        ' http-request set-header Authorization "Basic $PASSWORD"\n'
    )
    assert isinstance(the_listener(fragment).settings[Role.SERVER_BODY_READ], Unknown)
    assert "hunter2" not in repr(fragment)


# Bad input


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (b"\xef\xbb\xbfglobal\n", (1, 1), "byte order mark"),
        (b"timeout client 5s\n", (1, 1), "outside of every section"),
        (b"global\n x 'a\n", (2, 4), "the quote ' is never closed"),
        (b'global\n log "a\n', (2, 6), 'the quote " is never closed'),
    ],
)
def test_bad_input_names_its_place(text: bytes, place: tuple[int, int], message: str) -> None:
    with pytest.raises(ReadError) as caught:
        HAProxyReader().read(SourceText("haproxy.cfg", text))
    assert (caught.value.line, caught.value.column) == place
    assert message in caught.value.message


def test_templates_are_read_as_far_as_they_go() -> None:
    fragment = read(
        "{% set x = 1 %}\ndefaults\n mode http\n timeout client {{ client }}\n timeout server 30s\n"
        "listen web\n bind :80\n{% for s in servers %}\n server {{ s.name }} {{ s.ip }}:80\n{% endfor %}\n"
    )
    assert [note.text for note in fragment.notes] == [
        "{% set x = 1 %} and 2 more statements of the template are not followed; taken as true",
    ]
    way = the_way(fragment)
    assert (way.backends, shown(way.settings, Role.UPSTREAM_READ)) == (((None, None),), "30 s")


def test_conditional_blocks_take_their_first_branch() -> None:
    fragment = read(
        "defaults\n mode http\n.if feature(OPENSSL)\n timeout client 1s\n.else\n timeout client 2s\n.endif\n"
        "listen a\n bind :1\n"
    )
    assert idle(fragment) == "1 s"
    assert "taken as true" in fragment.notes[0].text


PIECES = st.sampled_from(
    [
        b"global\n", b"defaults\n", b"defaults a from b\n", b"frontend f\n", b"backend b\n",
        b"listen l :80\n",
        b" mode http\n", b" bind *:80\n", b" timeout client 5s\n", b" timeout ", b" server a b:1 ",
        b"\n", b"\r\n",
        b' "', b" '", b"\\", b"${X-", b"}", b"{{", b"{% x %}", b"<%= ", b"#",
        b" use_backend b if { path_beg /a } ",
        b" acl x path_beg /", b" default_backend b\n", b"\xff\xfe", b"\0", b"\xc3\xa9", b" or ",
        b" !x ", b"{", b"}",
        b".if x\n", b".endif\n", b".else\n", b" option httpclose\n", b" no option httpclose\n", b" setenv A ",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=6), max_size=25), st.integers(0, len(SHIPPED)))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int) -> None:
    whole = SHIPPED.encode()
    for data in (b"".join(pieces), whole[:at] + b"".join(pieces) + whole[at:]):
        assert_fragment_or_read_error(HAProxyReader().read, SourceText("haproxy.cfg", data))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    [
        b"{{", b'"$A" ', b" 'a'", b"${X-", b"\\ ", b"#\n", b"listen a\n", b"defaults x from x\n", b"<% ",
        b"acl a path_beg /a\nuse_backend b if a or a !a\n", b"server a b:1\n",
        b"x\n" * 5 + b"global\n", b"a ",
    ],
)  # fmt: skip
def test_reading_takes_time_in_proportion_to_the_length(piece: bytes) -> None:
    data = b"listen web\nmode http\n" + piece * (100_000 // len(piece))
    assert_fragment_or_read_error(HAProxyReader().read, SourceText("haproxy.cfg", data))


# Edits

LINES = st.sampled_from(
    [
        "timeout client 50s", "timeout client 5000 # why", "timeout http-keep-alive 2s",
        'timeout server "1m"',
        "timeout connect '5s'", "timeout tunnel ${X}", "timeout http-request 0", "option http-keep-alive",
        "timeout http-keep-alive 0", 'timeout server "${S-9s}"', "# timeout client 1s", "retries 2",
    ]
)  # fmt: skip


@given(
    st.lists(LINES, max_size=4),
    st.lists(LINES, max_size=3),
    st.lists(LINES, max_size=3),
    st.sampled_from(["", " pool-purge-delay 9s", " check # last"]),
    st.sampled_from(["    ", "\t", ""]),
    st.booleans(),
    st.integers(1, 9_999),
)
def test_writing_through_any_site_reads_back(
    defaults: list[str], front: list[str], back: list[str], server: str, indent: str, crlf: bool, value: int
) -> None:
    lines = [
        "global", "hard-stop-after 5s", "defaults", "mode http", *defaults, "frontend web",
        "bind :80", *front,
        "default_backend app", "backend app", *back, f"server a app:1{server}",
    ]  # fmt: skip
    text = "\n".join(line if line in ("global", "defaults") else f"{indent}{line}" for line in lines)
    source = SourceText("haproxy.cfg", text.replace("\n", "\r\n" if crlf else "\n").encode())
    assert_writes_read_back(HAProxyReader().read, source, value, but=frozenset())


def test_every_absent_option_can_be_written() -> None:
    fragment = simple()
    absent = {place: one for place, one in all_reads(fragment).items() if isinstance(one, Absent)}
    without = {place[2] for place, one in absent.items() if one.site is None}
    # There is no global section to write them into.
    assert without == {Role.SHUTDOWN_GRACE, Role.SHUTDOWN_DELAY}


def test_unlimited_and_absent_are_two_things() -> None:
    way = the_way(simple(back="timeout server 0"))
    assert isinstance(way.settings[Role.UPSTREAM_READ], Unlimited)
    assert isinstance(the_way(simple()).settings[Role.UPSTREAM_READ], Absent)


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("haproxy.cfg", b"", True),
        ("etc/haproxy/conf.d/20-app.cfg", b"backend app\n  server a b:80 check\n", True),
        ("haproxy.cfg.j2", b"global\n  daemon\n", True),
        ("templates/haproxy.cfg.erb", b"frontend x\n  bind *:80\n", True),
        ("setup.cfg", b"[metadata]\nname = x\n", False),
        ("nginx.conf", b"server { listen 80; }\n", False),
        ("haproxy.conf", b"input { }\n", False),
        ("x.cfg", b"defaults:\n  mode http\n", False),
        ("haproxy.md", SHIPPED.encode(), False),
    ],
)
def test_recognises_its_files(path: str, head: bytes, expected: bool) -> None:
    assert HAProxyReader().recognise(path, head) is expected
