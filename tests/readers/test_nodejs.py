"""JavaScript and TypeScript: what expressions are worth, which settings are a server's, and any bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.model.source import Site, SourceText, Unit
from keepalign.readers._flags import Value
from keepalign.readers.nodejs import NodeSource, read_source
from keepalign.readers.nodejs.packages import telling


def read(text: str, environment: Mapping[str, str | None] | None = None, name: str = "a.js") -> NodeSource:
    return read_source(SourceText(name, text.encode()), environment)


def value(text: str, environment: Mapping[str, str | None] | None = None) -> Value:
    (found,) = read(text, environment).found
    return found.value


@pytest.mark.parametrize("name", ["a.js", "a.mjs", "a.ts", "a.cts"])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("65000", "65000"),
        ("65_000", "65000"),
        ("65e3", "65000"),
        ("0xFDE8", "65000"),
        ("65 * 1000", "65000"),
        ("(60 + 5) * 1000 - 0", "65000"),
        ("130000 / 2", "65000"),
        ("+'65000'", "65000"),
        ("Number('65000')", "65000"),
        ("parseInt(process.env.KEEP || '65000', 10)", "65000"),
        ("Number(process.env.KEEP ?? 65000)", "65000"),
        ("Number(process.env['KEEP']) || 65000", "65000"),
        ("process.env.KEEP || process.env.OTHER || 65000", "65000"),
        ("0 || 65000", "65000"),
    ],
)
def test_what_an_expression_is_worth(expression: str, expected: str, name: str) -> None:
    (found,) = read(f"server.keepAliveTimeout = {expression};", name=name).found
    assert (found.value.text, found.value.reason) == (expected, "")


def test_typescript_casts_are_seen_through() -> None:
    (found,) = read("(server as any).keepAliveTimeout = (5 as number)!;", name="a.ts").found
    assert found.value.text == "5"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("s.keepAliveTimeout = KEEP", "KEEP is no constant of this file"),
        ("let K = 5; s.keepAliveTimeout = K; K = 6", "K is no constant of this file"),
        ("const K = f(); s.keepAliveTimeout = K", "K: f() is called where it runs"),
        ("s.keepAliveTimeout = ms('65s')", "ms() is called where it runs"),
        ("s.keepAliveTimeout = conf.idle", "conf.idle is decided where it runs"),
        ("s.keepAliveTimeout = Number(process.env.K)",
         "the environment variable K is not set in the given files"),
        ("s.keepAliveTimeout = a ? 1 : 2", "it is decided where it runs"),
        ("s.keepAliveTimeout = 'soon'", "'soon' is no number of milliseconds"),
        ("s.keepAliveTimeout = 1.5", "1.5 is no whole number of milliseconds"),
        ("s.keepAliveTimeout = -5", "-5 is no whole number of milliseconds"),
        ("s.keepAliveTimeout = 1 / 0", "its operator / is not one of + - * /"),
        ("s.keepAliveTimeout = 9e99", "it is too large"),
        ("if (x) { s.keepAliveTimeout = 5 }", "line 1 decides whether it is set"),
        ("\nfor (;;) s.keepAliveTimeout = 5", "line 2 decides whether it is set"),
    ],
)  # fmt: skip
def test_what_only_a_run_decides_is_unresolved_with_its_reason(text: str, reason: str) -> None:
    found = value(text)
    assert (found.text, found.reason) == (None, reason)


@pytest.mark.parametrize(
    "text",
    ["if (require.main === module) {{ {} }}", "if (cluster.isWorker) {{ {} }}", "async () => {{ {} }}"],
)
def test_conditions_that_hold_in_the_server_are_none(text: str) -> None:
    assert value(text.format("s.keepAliveTimeout = 5")).text == "5"


def test_the_environment_is_asked_first() -> None:
    text = "s.keepAliveTimeout = Number(process.env.KEEP ?? 5000);"
    found = value(text, {"KEEP": "75000"})
    assert (found.text, found.site, found.note) == ("75000", None, "environment variable KEEP")
    assert value(text, {"KEEP": None}).reason == "the environment variable KEEP cannot be resolved"
    default = value(text, {})
    assert default.note == "the default here: the environment variable KEEP is not set in the given files"
    assert text_at(SourceText("a.js", text.encode()), default.site) == "5000"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("s.keepAliveTimeout = 5 * 1000;", "s.keepAliveTimeout = 90000;"),
        ("s.keepAliveTimeout = '5';", "s.keepAliveTimeout = '90000';"),
        ("const K = 5; s.keepAliveTimeout = K;", "const K = 5; s.keepAliveTimeout = 90000;"),
        ("s.keepAliveTimeout = +(process.env.K || 5);", "s.keepAliveTimeout = +(process.env.K || 90000);"),
        ("'é'; s.keepAliveTimeout = 5;", "'é'; s.keepAliveTimeout = 90000;"),
    ],
)
def test_a_value_is_edited_where_it_is_written(text: str, after: str) -> None:
    found = value(text)
    assert found.site is not None
    assert written(SourceText("a.js", text.encode()), Site(found.site), 90000).data.decode() == after


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("http.createServer({ keepAliveTimeout: 5 })", 1),
        ("Fastify({ 'keepAliveTimeout': 5 })", 1),
        ("NestFactory.create(M, new FastifyAdapter({ keepAliveTimeout: 5 }))", 1),
        ("app.listen(80).keepAliveTimeout = 5", 1),
        ("app.getHttpServer()['keepAliveTimeout'] = 5", 1),
        # Of a client: undici's pool.
        ("new Agent({ keepAliveTimeout: 5 })", 0),
        ("const conf = { keepAliveTimeout: 5 }", 0),
        ("x === y.keepAliveTimeout", 0),
        ("// s.keepAliveTimeout = 5", 0),
        ("'s.keepAliveTimeout = 5'", 0),
    ],
)
def test_only_settings_of_a_server_count(text: str, count: int) -> None:
    assert len(read(text).found) == count


@pytest.mark.parametrize(
    ("text", "ports", "listens"),
    [
        ("app.listen(80)", (80,), True),
        ("app.listen({ host: 'x', port: 81 })", (81,), True),
        ("app.listen(process.env.PORT || 3000)", (3000,), True),
        ("app.listen('80')", (80,), True),
        ("app.listen(port)", (), True),
        ("app.listen('/run/app.sock')", (), True),
        ("bus.listen('message', f)", (), False),
        ("app.listen('²')", (), False),
        ("listen(80)", (), False),
    ],
)
def test_listening(text: str, ports: tuple[int, ...], listens: bool) -> None:
    found = read(text)
    assert (found.ports, found.listens) == (ports, listens)


@pytest.mark.parametrize(
    ("text", "handled", "closes"),
    [
        ("process.on('SIGTERM', () => server.close())", True, True),
        ("process.once(`SIGTERM`, stop); function stop() { server.close() }", True, True),
        ("process.on('SIGINT', () => server.close())", False, True),
        ("process.on('SIGTERM', () => process.exit(0))", True, False),
        ("child.on('SIGTERM', f)", False, False),
        ("createTerminus(server, { signal: 'SIGTERM' })", True, True),
    ],
)
def test_handlers_of_sigterm(text: str, handled: bool, closes: bool) -> None:
    found = read(text)
    assert (found.sigterm, found.closes) == (handled, closes)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("  const s = app.listen(80);\n  f();\n",
         "  const s = app.listen(80);\n  s.keepAliveTimeout = 90000;\n  f();\n"),
        ("const s = app.listen(80)\n", "const s = app.listen(80)\ns.keepAliveTimeout = 90000\n"),
        ("app.listen(80, () => {\n  log();\n});\n",
         "app.listen(80, () => {\n  log();\n}).keepAliveTimeout = 90000;\n"),
    ],
)  # fmt: skip
def test_a_further_setting_goes_to_the_server_that_listens(text: str, after: str) -> None:
    source = SourceText("a.js", text.encode())
    further = read_source(source).further
    assert further is not None
    assert further.unit is Unit.MILLISECONDS
    made = written(source, further, 90000)
    assert made.data.decode() == after
    assert [one.value.text for one in read_source(made).found] == ["90000"]


@pytest.mark.parametrize(
    "text",
    [
        "app.listen(80); metrics.listen(9090);",
        "await app.listen(80);",
        "return app.listen(80);",
        "if (x) app.listen(80);",
        "const { a } = app.listen(80);",
    ],
)
def test_nowhere_safe_is_no_site(text: str) -> None:
    assert read(text).further is None


_PIECES = st.sampled_from([
    "s.keepAliveTimeout", " = ", "5", "process.env.K", " || ", "(", ")", "{", "}", "keepAliveTimeout: ", "K",
    "app.listen(", "const K", ";", "\n", "if (", "`${", "'", "é", "process.on('SIGTERM', ", "Fastify(", "=>",
    "\0", "/",
])  # fmt: skip


@given(
    st.binary(max_size=100) | st.lists(_PIECES, max_size=30).map("".join).map(str.encode),
    st.sampled_from(["a.js", "a.ts"]),
)
def test_any_bytes_are_a_fragment(data: bytes, name: str) -> None:
    source = SourceText(name, data)
    found = read_source(source, {"K": "5"})
    assert_spans_fit(source, found)


@pytest.mark.parametrize(
    "text",
    [
        "s.keepAliveTimeout = 1;\n" * 5_000,
        "s.keepAliveTimeout = " + "1+" * 20_000 + "1",
        "s.keepAliveTimeout = " + "(" * 5_000 + "1" + ")" * 5_000,
        "a" + ".b()" * 20_000 + ".listen(80)",
        "const a = 1;\n" + "".join(f"const a{i} = a{i - 1} + a{i - 1};\n" for i in range(1, 2_000)),
    ],
    ids=["many", "long sum", "deep", "chain", "doubling"],
)
def test_large_files_take_time_in_proportion(text: str) -> None:
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 5


def test_minified_and_binary_files_are_not_opened() -> None:
    assert telling(b"app.listen(80)\n")
    assert not telling(b"app.listen(80)" + b";" * 6_000)
    assert not telling(b"app.listen(80)\n" * 20_000)
    assert not telling(b"app.listen(80)\0")
    assert not telling(b"export const a = 1\n")


def limits(text: str) -> dict[str, str | None]:
    return {one.name: one.value.text for one in read(text).found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server.keepAliveTimeout = 65e3; server.headersTimeout = 66 * 1000;",
         {"keepAliveTimeout": "65000", "headersTimeout": "66000"}),
        ("http.createServer({ requestTimeout: 120_000, headersTimeout: 70000 }, app).listen(80)",
         {"requestTimeout": "120000", "headersTimeout": "70000"}),
        ("const app = Fastify({ requestTimeout: 30000 })", {"requestTimeout": "30000"}),
        ("server.timeout = 0", {"timeout": "0"}),
        ("this.httpServer.timeout = 45000", {"timeout": "45000"}),
        # Much has a timeout.
        ("axios.defaults.timeout = 3000; req.timeout = 1; agent.options.headersTimeoutMs = 2", {}),
    ],
)  # fmt: skip
def test_further_limits_of_a_server_are_found(text: str, expected: Mapping[str, str]) -> None:
    assert limits(text) == expected


def test_keep_alive_is_found_beside_the_other_limits() -> None:
    (found,) = read("server.headersTimeout = 66000").found
    assert (found.name, found.value.text) == ("headersTimeout", "66000")


def test_file_that_sets_headers_timeout_alone_tells() -> None:
    assert telling(b"export const tune = (s) => { s.headersTimeout = 70000 }")
