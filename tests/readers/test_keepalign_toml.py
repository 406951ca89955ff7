"""keepalign.toml: what it declares, where, and every way to get it wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, FIXTURES, assert_spans_fit, source_of, text_at

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unlimited
from keepalign.model.source import OriginKind, SourceText
from keepalign.readers._fragments import KeepalignToml
from keepalign.readers.keepalign_toml import KeepalignTomlReader, read
from keepalign.units import Duration


def parsed(text: str | bytes) -> KeepalignToml:
    return read(SourceText("keepalign.toml", text.encode() if isinstance(text, str) else text))


def failing(text: str | bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        parsed(text)
    return caught.value


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_story_reads_fully(variant: str) -> None:
    source = source_of(EXAMPLE / variant / "keepalign.toml")
    fragment = read(source)
    times = [(e.path, e.longest_silence, e.longest_request) for e in fragment.workload.endpoints]
    assert times == [
        ("/orders", Duration.of(ms=200), Duration.of(ms=200)),
        ("/search", Duration.of(s=25), Duration.of(s=25)),
        ("/reports", Duration.of(s=90), Duration.of(s=90)),
        ("/exports", Duration.of(s=1), Duration.of(s=45)),
    ]
    assert (fragment.hints.time_scale_env, fragment.notes) == ("ORDERS_TIME_SCALE", ())
    for endpoint in fragment.workload.endpoints:
        assert endpoint.origin.kind is OriginKind.DECLARED
        assert [text_at(source, s.span) for s in endpoint.origin.steps] == [
            s.what for s in endpoint.origin.steps
        ]
        assert text_at(source, endpoint.origin.use) == f'path = "{endpoint.path}"'
        assert text_at(source, endpoint.origin.literal).startswith('longest_silence = "')


def test_everything_at_once() -> None:
    source = source_of(FIXTURES / "keepalign_toml/everything.toml")
    fragment = read(source)
    assert_spans_fit(source, fragment)
    (endpoint,) = fragment.workload.endpoints
    assert (endpoint.path, endpoint.longest_silence, endpoint.longest_request) == (
        "/inline", None, Duration.of(s=3),
    )  # fmt: skip
    assert fragment.hints.containers == {"api": "app", "web server": "httpd/Dockerfile"}
    assert fragment.hints.time_scale_env == "SCALE"
    ((kind, options, origin),) = fragment.hints.in_front
    assert (kind, options) == ("aws-alb", {"idle_timeout": "60s", "deregistration_delay": "0s"})
    assert [text_at(source, s.span) for s in origin.steps] == [
        "[in_front.aws-alb]", 'idle_timeout = "60s"', 'deregistration_delay = "0s"',
    ]  # fmt: skip


def test_only_the_request_leaves_the_silence_open() -> None:
    (endpoint,) = parsed('[[endpoint]]\npath = "/"\nlongest_request = "45s"\n').workload.endpoints
    assert (endpoint.longest_silence, endpoint.longest_request) == (None, Duration.of(s=45))


def test_an_empty_file_declares_nothing() -> None:
    fragment = parsed("")
    assert (fragment.workload.endpoints, fragment.hints.in_front) == ((), ())


GOOD = '[[endpoint]]\npath = "/a"\nlongest_silence = "2s"\n'


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('[[endpoint]]\npath = "/"\nlongest_silense = "2s"\n', 3, 1, "did you mean longest_silence?"),
        ('[[endpiont]]\npath = "/"\n', 1, 1, "did you mean endpoint?"),
        (GOOD + "[timeouts]\n", 4, 1, "known here: endpoint, application, containers, in_front"),
        ('[[endpoint]]\npath = "/"\nlongest_silence = "5s"\n longest_request = "4s"\n', 4, 2, "raise"),
        (GOOD + '[[endpoint]]\npath = "/b"\nlongest_silence = "0s"\n', 6, 1, "with a unit"),
        ('[[endpoint]]\npath = "/"\nlongest_silence = "-2s"\n', 3, 1, "with a unit"),
        ('[[endpoint]]\npath = "/"\nlongest_silence = "25"\n', 3, 1, "with a unit"),
        ('[[endpoint]]\npath = "/"\nlongest_silence = 25\n', 3, 1, "with a unit"),
        ('[[endpoint]]\npath = "a"\nlongest_silence = "2s"\n', 2, 1, ""),
        ("[[endpoint]]\nlongest_silence = '2s'\n", 1, 1, 'add path = "/"'),
        ('[[endpoint]]\npath = "/"\n', 1, 1, "add longest_silence"),
        (GOOD + GOOD, 5, 1, ""),
        ("[endpoint]\n", 1, 1, "write [[endpoint]]"),
        ("endpoint = 3\n", 1, 1, "write [[endpoint]]"),
        ("application = 3\n", 1, 1, "write [application]"),
        ("[application]\ntime_scale_env = 3\n", 2, 1, ""),
        ("[containers]\na = 3\n", 2, 1, ""),
        ("[in_front.aws-abl]\n", 1, 1, "did you mean aws-alb?"),
        ('[in_front.aws-alb]\nidle_timeouts = "6s"\n', 2, 1, "did you mean idle_timeout?"),
        ('[in_front.aws-alb]\nidle_timeout = "0s"\n', 2, 1, "with a unit"),
        ("[application\n", 1, 13, ""),
        ("a = \n", 1, 5, ""),
        (b"# ok\n# \xff\n", 2, 3, "save the file as UTF-8"),
    ],
)
def test_a_mistake_is_an_error_with_its_place_and_a_way_out(
    text: str | bytes, line: int, column: int, words: str
) -> None:
    error = failing(text)
    assert (error.line, error.column) == (line, column)
    assert words in error.hint


def test_a_key_inside_a_long_text_is_not_taken_for_the_real_one() -> None:
    text = "[containers]\na = '''\nb = \"no\"\n'''\nb = \"yes\"\n[x]\n"
    assert failing(text).line == 6
    assert parsed(text.replace("[x]\n", "")).hints.containers == {"a": 'b = "no"\n', "b": "yes"}


def test_a_byte_order_mark_changes_nothing() -> None:
    source = SourceText("keepalign.toml", '\ufeff[[endpoint]]\npath = "/"\nlongest_silence = "5s"\n'.encode())
    (endpoint,) = read(source).workload.endpoints
    assert text_at(source, endpoint.origin.literal) == 'longest_silence = "5s"'
    assert failing('\ufeff\n[[endpoint]]\npath = "x"\n').place == "keepalign.toml:3:1"


def test_recognise_goes_by_the_name() -> None:
    reader = KeepalignTomlReader()
    assert reader.recognise("a/keepalign.toml", b"")
    assert not reader.recognise("a/pyproject.toml", b"[[endpoint]]")


PIECES = [
    b"[[endpoint]]\n", b'path = "/"\n', b'longest_silence = "2s"\n', b'longest_request = "9', b'9s"\n',
    b"[", b"]", b"=", b'"', b"'", b'"""', b"\n", b"\r\n", b"\xff", b"\x00", b"endpoint.", b"{", b"}",
    b"in_front", b"#",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=20))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes]) -> None:
    source = SourceText("keepalign.toml", b"".join(pieces))
    try:
        fragment = read(source)
    except ReadError:
        return
    assert_spans_fit(source, fragment)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_declared_reads_back_with_its_place(times: list[tuple[int, int]], end: str) -> None:
    lines: list[str] = []
    for number, (silence, more) in enumerate(times):
        lines += ["[[endpoint]] # one", f"  path='/{number}'", f'longest_request = "{silence + more}ms"']
        lines += [f"longest_silence   =   '{silence}ms'  # so", ""]
    source = SourceText("keepalign.toml", end.join(lines).encode())
    fragment = read(source)
    assert_spans_fit(source, fragment)
    for number, (endpoint, (silence, more)) in enumerate(
        zip(fragment.workload.endpoints, times, strict=True)
    ):
        assert endpoint.longest_silence == Duration.of(ms=silence)
        assert endpoint.longest_request == Duration.of(ms=silence + more)
        assert text_at(source, endpoint.origin.use) == f"path='/{number}'"
        assert text_at(source, endpoint.origin.literal) == f"longest_silence   =   '{silence}ms'"


def test_clients_are_read_with_their_places() -> None:
    text = """\
[clients.billing]
pool_idle = "90s"
timeout = "30s"
calls = "/api"

[clients."night job"]
timeout = "unlimited"
"""
    source = SourceText("keepalign.toml", text.encode())
    billing, job = read(source).hints.clients
    assert isinstance(billing.pool_idle, Explicit)
    assert isinstance(billing.timeout, Explicit)
    assert (billing.name, billing.pool_idle.value, billing.timeout.value, billing.calls) == (
        "billing", Duration.of(s=90), Duration.of(s=30), "/api",
    )  # fmt: skip
    assert text_at(source, billing.pool_idle.origin.literal) == 'pool_idle = "90s"'
    assert billing.pool_idle.origin.kind is OriginKind.DECLARED
    assert text_at(source, billing.place) == "[clients.billing]"
    assert (job.name, job.pool_idle, job.calls) == ("night job", None, "/")
    assert isinstance(job.timeout, Unlimited)


def test_start_up_time_is_read() -> None:
    startup = parsed('[application]\nstartup = "1m30s"\n').hints.startup
    assert startup is not None
    assert startup.value == Duration.of(s=90)
    assert parsed("").hints.startup is None


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("[clients.a]\n", "nothing is declared of a", 1),
        ("clients = 3\n", "clients must be a table", 1),
        ('[clients]\na = "90s"\n', "a must be a table", 2),
        ('[clients.a]\npool_idle = "-1s"\n', "above zero", 2),
        ("[clients.a]\npool_idle = 90\n", "must be a duration in quotes", 2),
        ('[clients.a]\npool_idle = "for ever"\n', "no duration above zero", 2),
        ('[clients.a]\ntimeout = "3s"\ncalls = "api"\n', "does not begin with /", 3),
        ('[clients.a]\ntimeout = "3s"\nretries = 2\n', "'retries' is no key", 3),
        ('[application]\nstartup = "0s"\n', "above zero", 2),
    ],
)
def test_client_that_cannot_be_understood_is_refused(text: str, says: str, line: int) -> None:
    error = failing(text)
    assert says in error.message
    assert error.line == line
