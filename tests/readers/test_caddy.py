"""CaddyReader: sites, matchers, imports, times, and that edits do what they say."""

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
from keepalign.model.setting import Explicit
from keepalign.model.source import Edit, SourceText, edited
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyFragment
from keepalign.readers._reader import Absent
from keepalign.readers.caddy import CaddyReader

# After examples of Caddy's documentation and of public Caddyfiles.
SHOP = """\
{
	email admin@example.com
	grace_period 10s
	servers {
		timeouts {
			read_header 5s
			idle 2m
		}
	}
}

(proxy) {
	reverse_proxy {args[0]} {
		lb_try_duration 30s
		lb_try_interval 1s
		transport http {
			dial_timeout 1s
			response_header_timeout {$ANSWER:30s}
			keepalive 55s
		}
	}
}

shop.example.com {
	encode gzip
	handle /api/users/* {
		import proxy users:3001
	}
	handle_path /v1/* {
		reverse_proxy /x/* http://v1:8000
	}
	handle {
		root * /var/www/html
		file_server
	}
	reverse_proxy /ws/* {
		to ws-1:9000 ws-2:9000
	}
}

:8080 {
	reverse_proxy {$BACKEND}
}
"""
# As `caddy adapt` writes it.
JSON = """\
{"apps": {"http": {"grace_period": 10000000000, "servers": {"srv0": {"listen": [":443"],
  "idle_timeout": "2m", "routes": [{"match": [{"host": ["a.example.com"]}], "handle": [
    {"handler": "subroute", "routes": [{"match": [{"path": ["/api/*"]}], "handle": [
      {"handler": "reverse_proxy", "upstreams": [{"dial": "api:3000"}],
       "load_balancing": {"retries": 2},
       "transport": {"protocol": "http", "keep_alive": {"idle_timeout": 30000000000}}}]}]}],
    "terminal": true}]}}}}}
"""


def read(text: str, name: str = "Caddyfile") -> ProxyFragment:
    source = SourceText(name, text.encode())
    fragment = CaddyReader().read(source)
    assert_sound(source, fragment)
    return fragment


def proxied(lines: str, *, transport: str = "") -> ProxyFragment:
    """One site with one reverse_proxy that has these lines in its block."""
    inner = f"transport http {{\n{transport}\n}}\n" if transport else ""
    return read(f":80 {{\nreverse_proxy app:3000 {{\n{lines}\n{inner}}}\n}}\n")


def test_shop_reads_fully() -> None:
    fragment = read(SHOP)
    shop, other = fragment.listeners
    assert (shop.name, shop.ports, other.ports) == ("shop.example.com", (443,), (8080,))
    assert shown(shop.settings, Role.SERVER_IDLE) == "120 s"
    assert shown(shop.settings, Role.SERVER_HEADER_READ) == "5 s"
    assert shown(shop.settings, Role.SERVER_REQUEST_READ) == "absent timeouts read_body"
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "10 s"
    assert shown(fragment.settings, Role.SHUTDOWN_DELAY) == "absent shutdown_delay"
    assert [(way.prefixes, way.hosts, way.backends) for way in shop.ways] == [
        (("/api/users/",), ("shop.example.com",), (("users", 3001),)),
        (("/v1/x/",), ("shop.example.com",), (("v1", 8000),)),
        (("/ws/",), ("shop.example.com",), (("ws-1", 9000), ("ws-2", 9000))),
    ]
    users = shop.ways[0]
    assert users.traits == {"retries": "idempotent", "pool": "on"}
    assert shown(users.settings, Role.UPSTREAM_READ) == "30 s"
    assert shown(users.settings, Role.UPSTREAM_CONNECT) == "1 s"
    assert shown(users.settings, Role.UPSTREAM_POOL_IDLE) == "55 s"
    assert shown(users.settings, Role.UPSTREAM_RETRY) == "30 s"
    (way,) = other.ways
    assert way.unresolved == "$BACKEND is set where Caddy is started"
    assert [note.text for note in fragment.notes] == [f"reverse_proxy {{$BACKEND}}: {way.unresolved}"]


def test_values_name_the_bytes_that_write_them() -> None:
    source = SourceText("Caddyfile", SHOP.encode())
    setting = CaddyReader().read(source).listeners[0].ways[0].settings[Role.UPSTREAM_READ]
    assert isinstance(setting, Explicit)
    assert [step.what for step in setting.origin.steps] == [
        "reverse_proxy users:3001", "response_header_timeout 30s", "$ANSWER",
    ]  # fmt: skip
    assert setting.site is not None
    assert text_at(source, setting.site.span) == "30s"
    assert b"{$ANSWER:90s}" in written(source, setting.site, 90).data


def test_json_reads_as_the_caddyfile_it_was_made_of() -> None:
    fragment = read(JSON, "caddy.json")
    front, way = the_listener(fragment), the_way(fragment)
    assert (front.ports, shown(front.settings, Role.SERVER_IDLE)) == ((443,), "120 s")
    assert (way.prefixes, way.hosts, way.backends) == (("/api/",), ("a.example.com",), (("api", 3000),))
    assert shown(way.settings, Role.UPSTREAM_POOL_IDLE) == "30 s"
    assert way.traits == {"retries": "idempotent", "attempts": "3", "pool": "on"}
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "10 s"


def test_json_edits_read_back() -> None:
    assert_writes_read_back(CaddyReader().read, SourceText("c.json", JSON.encode()), 77, but=frozenset())


# Times


@pytest.mark.parametrize(
    ("lines", "role", "expected"),
    [
        ("keepalive 2m", Role.UPSTREAM_POOL_IDLE, "120 s"),
        ("keepalive 1m30s", Role.UPSTREAM_POOL_IDLE, "90 s"),
        ("keepalive 0", Role.UPSTREAM_POOL_IDLE, "absent keepalive"),
        ("keepalive_idle_conns_per_host 10", Role.UPSTREAM_POOL_IDLE, "absent keepalive"),
        ("keepalive 30s\nkeepalive 40s", Role.UPSTREAM_POOL_IDLE, "40 s"),
        ("keepalive 60", Role.UPSTREAM_POOL_IDLE, "unknown"),
        ("keepalive {$KEEP}", Role.UPSTREAM_POOL_IDLE, "unknown"),
        ("read_timeout 20s", Role.UPSTREAM_POOL_IDLE, "20 s"),
        ("read_timeout 20s\nkeepalive 5s", Role.UPSTREAM_POOL_IDLE, "5 s"),
        ("read_timeout 3m", Role.UPSTREAM_POOL_IDLE, "absent keepalive"),
        ("read_timeout 2m", Role.UPSTREAM_POOL_IDLE, "absent keepalive"),
        ("read_timeout 20s", Role.UPSTREAM_READ, "20 s"),
        ("response_header_timeout 10s\nread_timeout 20s", Role.UPSTREAM_READ, "10 s"),
        ("response_header_timeout 30s\nread_timeout 20s", Role.UPSTREAM_READ, "20 s"),
        ("response_header_timeout 0", Role.UPSTREAM_READ, "unlimited"),
        ("response_header_timeout x\nread_timeout 20s", Role.UPSTREAM_READ, "unknown"),
        ("dial_timeout 500ms", Role.UPSTREAM_CONNECT, "500 ms"),
        ("dial_timeout 1d", Role.UPSTREAM_CONNECT, "86400 s"),
        ("dial_timeout 0", Role.UPSTREAM_CONNECT, "absent dial_timeout"),
    ],
)
def test_times_of_the_transport(lines: str, role: Role, expected: str) -> None:
    """Measured with 2.11.7: read_timeout 1s closes a pooled connection after 1.0 s."""
    assert shown(the_way(proxied("", transport=lines)).settings, role) == expected


@pytest.mark.parametrize(
    ("lines", "transport", "traits"),
    [
        ("", "", {"retries": "idempotent", "attempts": "1", "pool": "on"}),
        ("lb_retries 2", "", {"retries": "idempotent", "attempts": "3", "pool": "on"}),
        ("lb_try_duration 5s", "", {"retries": "idempotent", "pool": "on"}),
        ("", "keepalive off", {"retries": "idempotent", "attempts": "1", "pool": "off"}),
        ("transport fastcgi {\n}", "", {"retries": "off", "attempts": "1", "pool": "off"}),
    ],
)
def test_traits(lines: str, transport: str, traits: dict[str, str]) -> None:
    assert the_way(proxied(lines, transport=transport)).traits == traits


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("servers {\ntimeouts {\nidle 90s\n}\n}", "90 s"),
        ("servers :80 {\ntimeouts {\nidle 90s\n}\n}", "90 s"),
        ("servers :443 {\ntimeouts {\nidle 90s\n}\n}", "absent timeouts idle"),
        ("servers {\ntimeouts {\nidle 1s\n}\n}\nservers :80 {\ntimeouts {\nidle 2s\n}\n}", "2 s"),
        ("servers {\ntimeouts {\nidle 0\n}\n}", "absent timeouts idle"),
        ("debug", "absent timeouts idle"),
    ],
)
def test_idle_time_of_the_server_that_listens(options: str, expected: str) -> None:
    fragment = read(f"{{\n{options}\n}}\n:80 {{\nrespond ok\n}}\n")
    assert shown(the_listener(fragment).settings, Role.SERVER_IDLE) == expected


def test_grace_of_zero_is_no_limit() -> None:
    fragment = read("{\ngrace_period 0\nshutdown_delay 0\n}\n:80 {\n}\n")
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "unlimited"
    assert shown(fragment.settings, Role.SHUTDOWN_DELAY) == "0 s"


# Sites and matchers


@pytest.mark.parametrize(
    ("address", "ports", "hosts"),
    [
        ("example.com", (443,), ("example.com",)), ("http://example.com", (80,), ("example.com",)),
        (":8080", (8080,), ()), ("a.com, b.com:8080", (443, 8080), ("a.com", "b.com")),
        ("a.com,\nb.com", (443,), ("a.com", "b.com")), ("*.example.com", (443,), ("*.example.com",)),
        (":80, a.com:80", (80,), ()), ("{$SITE:localhost:9000}", (9000,), ("localhost",)),
        ("http://", (80,), ()),
        ("{$SITE}", (), ()),
    ],
)  # fmt: skip
def test_addresses_of_sites(address: str, ports: tuple[int, ...], hosts: tuple[str, ...]) -> None:
    fragment = read(f"{address} {{\nreverse_proxy app:3000\n}}\n")
    assert the_listener(fragment).ports == ports
    assert the_way(fragment).hosts == hosts


def test_a_single_site_does_without_braces() -> None:
    fragment = read("example.com\n\nencode gzip\nreverse_proxy localhost:9000\n")
    assert (the_listener(fragment).ports, the_way(fragment).backends) == ((443,), (("localhost", 9000),))


def test_a_brace_may_stand_on_the_next_line() -> None:
    fragment = read("a.com, b.com:8080 c.com\n{\n\treverse_proxy app\n}\n")
    assert (the_listener(fragment).ports, the_way(fragment).backends) == ((443, 8080), (("app", 80),))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("reverse_proxy app:1", [(("/",), ())]),
        ("reverse_proxy * app:1", [(("/",), ())]),
        ("reverse_proxy /api* app:1", [(("/api",), ())]),
        ("reverse_proxy /health app:1", [(("/health",), ())]),
        ("@a path /a/* /b/*\nreverse_proxy @a app:1", [(("/a/", "/b/"), ())]),
        ("@a {\npath /a/*\nhost x.org\n}\nreverse_proxy @a app:1", [(("/a/",), ("x.org",))]),
        ("@a not path /a/*\nreverse_proxy @a app:1", [(("/",), ())]),
        ("@a method POST\nreverse_proxy @a app:1", [((), ())]),
        ("@a path *.php\nreverse_proxy @a app:1", [((), ())]),
        ("@a path_regexp ^/x\nhandle @a {\nreverse_proxy app:1\n}", [((), ())]),
        ("reverse_proxy @missing app:1", [((), ())]),
        ("handle /a/* {\nreverse_proxy /a/b/* app:1\n}", [(("/a/b/",), ())]),
        ("handle /a/* {\nhandle /b/* {\nreverse_proxy app:1\n}\n}", [((), ())]),
        ("route {\nreverse_proxy /a/* app:1\nreverse_proxy app:1\n}", [(("/a/",), ()), (("/",), ())]),
        ("reverse_proxy app:1\nreverse_proxy /a/* app:1", [(("/a/",), ()), (("/",), ())]),
        ("respond ok", []),
    ],
)
def test_matchers_tell_prefixes_and_hosts(
    body: str, expected: list[tuple[tuple[str, ...], tuple[str, ...]]]
) -> None:
    fragment = read(f":80 {{\n{body}\n}}\n")
    assert [(way.prefixes, way.hosts) for way in ways(fragment)] == expected
    assert bool(fragment.notes) == any(not prefixes for prefixes, _ in expected)


@pytest.mark.parametrize(
    ("upstream", "backends"),
    [
        ("app", (("app", 80),)), ("https://app", (("app", 443),)), ("h2c://app:50051", (("app", 50051),)),
        (":9000", (("localhost", 9000),)), ("[::1]:80", (("[::1]", 80),)),
        ("unix//run/x.sock", ((None, None),)),
        ("app:8001-8003", (("app", 8001), ("app", 8002), ("app", 8003))), ("{$B:app:1}", (("app", 1),)),
        ("{$B:a:1 b:2}", (("a", 1), ("b", 2))), ("srv+http://internal", ((None, None),)), ("{$B}", ()),
        ("{http.request.host}:80", ()), ("", ()),
    ],
)  # fmt: skip
def test_addresses_of_upstreams(upstream: str, backends: tuple[tuple[str | None, int | None], ...]) -> None:
    way = the_way(read(f":80 {{\nreverse_proxy {upstream}\n}}\n"))
    assert way.backends == backends
    assert bool(way.unresolved) == (not backends)


# Imports


def test_imports_take_snippets_and_files() -> None:
    files = {
        "Caddyfile": "import sites/*.caddy\n(t) {\ntransport http {\nkeepalive {args[0]}\n}\n{block}\n}\n",
        "sites/a.caddy": "a.com {\nreverse_proxy app:1 {\nimport t 9s {\nlb_retries 1\n}\n}\n}\n",
    }
    sources = {name: SourceText(name, text.encode()) for name, text in files.items()}
    fragment = CaddyReader().read_tree(
        sources["Caddyfile"], lambda pattern: [sources["sites/a.caddy"]] if pattern == "sites/*.caddy" else []
    )
    way = the_way(fragment)
    setting = way.settings[Role.UPSTREAM_POOL_IDLE]
    assert isinstance(setting, Explicit)
    assert (setting.value.seconds, way.traits["attempts"]) == (9, "2")
    assert setting.site is not None
    # The argument of the import line is what writes it.
    assert text_at(sources["sites/a.caddy"], setting.site.span) == "9s"


def test_what_is_not_at_hand_is_noted() -> None:
    fragment = read(":80 {\nimport common.conf\nimport sites/*\nimport {$WHICH}\n}\n")
    assert [note.text for note in fragment.notes] == [
        "import common.conf is not read; give the folder that holds it",
        "import sites/* matches no file here",
        "import {$WHICH} is not followed: $WHICH is set where Caddy is started",
    ]


@pytest.mark.timeout(20)
def test_snippets_that_double_on_every_level_end() -> None:
    levels = "".join(f"(s{n}) {{\nimport s{n + 1}\nimport s{n + 1}\n}}\n" for n in range(40))
    fragment = read(f"{levels}(s40) {{\nimport s0\n}}\n:80 {{\nimport s0\n}}\n")
    assert "too many import one another" in fragment.notes[0].text


# Bad input


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (":80 {\n}\n}\n", (3, 1), "unexpected '}'"),
        (':80 {\n  respond "a\n}\n', (2, 11), 'the quote " is never closed'),
        (":80 {\n  respond `a\n}\n", (2, 11), "the quote ` is never closed"),
        (":80 {\nrespond <<X\na\n}\n", (2, 9), "the heredoc X is never closed"),
        ("a {\n" * 40, (31, 3), "more than 30 blocks"),
    ],
)
def test_bad_input_names_its_place(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(ReadError) as caught:
        CaddyReader().read(SourceText("Caddyfile", text.encode()))
    assert (caught.value.line, caught.value.column) == place
    assert message in caught.value.message


def test_words_as_caddy_takes_them() -> None:
    fragment = read(
        '\ufeff# a comment\n:80 { # another\n\trespond `a\n}` \\\n\t\t200\n\theader X "{$Y:a b}"\n'
        "\trespond <<END\n\t}\n\tEND\n\treverse_proxy app#1:80 {host}\n\treverse_proxy /é/* app:1\n}\n"
    )
    assert [way.prefixes for way in ways(fragment)] == [("/é/",), ("/",)]


def test_templates_are_read_as_far_as_they_go() -> None:
    fragment = read(
        "{% if tls %}\n{{ domain }} {\n\treverse_proxy {{ backend }} {\n"
        "\t\ttransport http {\n\t\t\tkeepalive 30s\n\t\t}\n\t}\n}\n{% endif %}\n"
    )
    way = the_way(fragment)
    assert way.unresolved == "{{ backend }} is filled in when the template is rendered"
    assert shown(way.settings, Role.UPSTREAM_POOL_IDLE) == "30 s"
    assert "taken as true" in fragment.notes[0].text


def test_a_template_that_cannot_be_read_is_noted() -> None:
    fragment = read("{% if a %}\na.com {\n{% else %}\nb.com {\n{% endif %}\n}\n}\n}\n")
    assert (fragment.listeners, len(fragment.notes)) == ((), 1)
    assert "cannot be read before it is rendered" in fragment.notes[0].text


PIECES = st.sampled_from(
    [
        b"{\n", b"}\n", b"{", b"}", b":80 {\n", b"a.com, ", b"reverse_proxy ", b"app:1 ", b"/x/* ",
        b"@m ", b"\n",
        b"\r\n", b'"', b"`", b"\\", b"\\\n", b"{$X:", b"{$X}", b"<<E\n", b"E\n", b"#", b"{{", b"}}",
        b"{% x %}\n",
        b"import s\n", b"(s) {\n", b"{args[0]}", b"{block}\n", b"transport http {\n",
        b"keepalive 5s\n", b"servers {\n",
        b"timeouts {\n", b"idle 5s\n", b"\xff", b"\0", b"\xc3\xa9", b"\xef\xbb\xbf",
        b"handle_path /a/* {\n", b"<% ",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=6), max_size=25), st.integers(0, len(SHOP)))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int) -> None:
    whole = SHOP.encode()
    for data in (b"".join(pieces), whole[:at] + b"".join(pieces) + whole[at:]):
        assert_fragment_or_read_error(CaddyReader().read, SourceText("Caddyfile", data))


@given(st.binary(max_size=30), st.integers(0, len(JSON)))
def test_any_json_gives_a_fragment_or_a_read_error(piece: bytes, at: int) -> None:
    data = JSON.encode()
    assert_fragment_or_read_error(CaddyReader().read, SourceText("c.json", data[:at] + piece + data[at:]))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    [b"{{", b'"a" ', b"`a` ", b"{$X:", b"\\\n", b"a {\n}\n", b"# x\n", b"<<E ", b"{$A} ", b"a ",
     b"{\n}\n", b"<%"],
)  # fmt: skip
def test_reading_takes_time_in_proportion_to_the_length(piece: bytes) -> None:
    data = b":80 {\n" + piece * (100_000 // len(piece))
    assert_fragment_or_read_error(CaddyReader().read, SourceText("Caddyfile", data))


# Edits

GLOBALS = st.sampled_from(
    [
        "", "{\n\tgrace_period 5s\n}", "{\n\tservers {\n\t}\n\tshutdown_delay 1s\n}", "{\n}",
        "{\n\tservers {\n\t\ttimeouts {\n\t\t\tread_body 5s # why\n\t\t}\n\t}\n}",
        "{ # first\n\tservers {\n\t\ttimeouts {\n\t\t\tidle {$IDLE:5s}\n\t\t}\n\t}\n}",
    ]
)  # fmt: skip
PROXIES = st.sampled_from(
    [
        "reverse_proxy app:1", "reverse_proxy app:1 {\n\t}",
        "reverse_proxy app:1 {\n\t\tlb_try_duration 5s\n\t}",
        "reverse_proxy app:1 {\n\t\ttransport http {\n\t\t\tkeepalive 1m30s\n\t\t}\n\t}",
        "reverse_proxy app:1 {\n\t\ttransport http\n\t}",
        'handle /a/* {\n\t\treverse_proxy a:1 {\n\t\ttransport http {\n\t\tdial_timeout "5s"\n\t}\n\t}\n\t}',
    ]
)  # fmt: skip


@given(GLOBALS, PROXIES, st.booleans(), st.booleans(), st.integers(1, 9_999))
def test_writing_through_any_site_reads_back(
    options: str, proxy: str, braces: bool, crlf: bool, value: int
) -> None:
    site = f"a.com {{\n\t{proxy}\n}}" if braces else f"a.com\n{proxy}"
    text = f"{options}\n{site}\n" if options else f"{site}\n"
    source = SourceText("Caddyfile", text.replace("\n", "\r\n" if crlf else "\n").encode())
    assert_writes_read_back(CaddyReader().read, source, value, but=frozenset())


def test_the_first_edit_of_a_plain_caddyfile_makes_its_blocks() -> None:
    source = SourceText("Caddyfile", b"example.com {\n\treverse_proxy app:3000\n}\n")
    reads = all_reads(CaddyReader().read(source))
    pool, idle = reads[0, 0, Role.UPSTREAM_POOL_IDLE], reads[0, None, Role.SERVER_IDLE]
    assert isinstance(pool, Absent)
    assert written(source, pool.site, 50).data.decode() == (
        "example.com {\n\treverse_proxy app:3000 {\n"
        "\t\ttransport http {\n\t\t\tkeepalive 50s\n\t\t}\n\t}\n}\n"
    )
    assert written(source, idle.site, 80).data.decode().startswith(
        "{\n\tservers {\n\t\ttimeouts {\n\t\t\tidle 80s\n\t\t}\n\t}\n}\nexample.com {\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("Caddyfile", b"", True), ("docker/Caddyfile.prod", b"a {\n reverse_proxy b\n}\n", True),
        ("sites/a.caddy", b"a {\n\trespond x\n}\n", True), ("caddy.json", JSON.encode(), True),
        ("Caddyfile.md", b"# how to\n", False), ("package.json", b'{"name": "x"}', False),
        ("caddyfile.py", b"import os\n\nimport sys\n", False),
    ],
)  # fmt: skip
def test_recognises_its_files(path: str, head: bytes, expected: bool) -> None:
    assert CaddyReader().recognise(path, head) is expected


@pytest.mark.parametrize("proxy", ["reverse_proxy app:1", "reverse_proxy app:1 {\n\t\ttransport http\n\t}"])
def test_edits_made_together_bring_no_block_twice(proxy: str) -> None:
    source = SourceText("Caddyfile", f":80 {{\n\t{proxy}\n}}\n".encode())
    sites = [one.site for one in all_reads(CaddyReader().read(source)).values() if one.site is not None]
    edits = [Edit(site.span, site.template.replace("{value}", "50")) for site in sites]
    after = SourceText("Caddyfile", edited(source.data, edits))
    assert after.data.count(b"transport http {") == 1
    reads = all_reads(CaddyReader().read(after))
    assert isinstance(reads[0, 0, Role.UPSTREAM_POOL_IDLE], Explicit)
    assert shown(the_listener(CaddyReader().read(after)).settings, Role.SERVER_IDLE) == "50 s"
