"""Python configuration files: what their module-level names are worth, and what cannot be known."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText
from keepalign.readers._flags import Value
from keepalign.readers._options import ConfFragment
from keepalign.readers.python_conf import read_conf

NAMES = ("keepalive", "timeout", "bind", "worker_class", "threads")


def conf(text: str, environment: Mapping[str, str | None] | None = None) -> ConfFragment:
    return read_conf(SourceText("gunicorn.conf.py", text.encode()), NAMES, environment)


def keepalive(text: str, environment: Mapping[str, str | None] | None = None) -> Value:
    (value,) = conf(text, environment).values["keepalive"]
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keepalive = 75", "75"),
        ("keepalive = 5\nkeepalive = 75", "75"),
        ("keepalive: int = 75", "75"),
        ("keepalive = timeout = 75", "75"),
        ("keepalive = 60 + 15", "75"),
        ("keepalive = 1_0 * (2 + 3) // 2 - 1 % 2", "24"),
        ("keepalive = 60\nkeepalive += 15", "75"),
        ("KEEP = 70\nkeepalive = KEEP + 5", "75"),
        ('keepalive = "75"', "75"),
        ('keepalive = int("75")', "75"),
        ("keepalive = int(75.9)", "75"),
        ('import os\nkeepalive = int(os.environ.get("KEEP", "75"))', "75"),
        ('import os\nkeepalive = int(os.environ.get("KEEP", 75))', "75"),
        ('from os import environ\nkeepalive = int(environ.get("KEEP", "75"))', "75"),
        ('from os import getenv as e\nkeepalive = int(e("KEEP", "75"))', "75"),
        ('import os\nkeepalive = int(os.getenv("KEEP") or 75)', "75"),
        ('import os\nkeepalive = int(os.environ.get("KEEP", "70")) + 5', "75"),
        ('import os.path\nkeepalive = os.getenv("KEEP", default="75")', "75"),
        ('worker_class = "sync"\ndef on_exit(server):\n    keepalive = 5\nkeepalive = 75', "75"),
        ("if True:\n    keepalive = 5\nkeepalive = 75", "75"),
        ("from base import *\nkeepalive = 75", "75"),
        ("keepalive = -1", "-1"),
        ("\ufeffkeepalive = 75", "75"),
        ("keepalive = 75\r\n", "75"),
    ],
)
def test_what_a_name_is_worth(text: str, expected: str) -> None:
    value = keepalive(text)
    assert (value.text, value.reason) == (expected, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("from settings import KEEP\nkeepalive = KEEP", "KEEP: line 1 imports it"),
        ("from settings import keepalive", "line 1 imports it"),
        ("keepalive = compute()", "compute() is called where it runs"),
        ("import multiprocessing\nkeepalive = multiprocessing.cpu_count() * 2 + 1",
         "multiprocessing.cpu_count() is called where it runs"),
        ("keepalive = 5\nif debug:\n    keepalive = 75", "line 2 decides it where it runs"),
        ("try:\n    from s import keepalive\nexcept E:\n    pass", "line 1 decides it where it runs"),
        ("for keepalive in range(9): pass", "line 1 decides it where it runs"),
        ("keepalive, timeout = 5, 6", "line 1 assigns several names at once"),
        ("keepalive = 75 if debug else 5", "a condition is decided where it runs"),
        ("keepalive = True", "it is True or False"),
        ("keepalive = KEEP", "KEEP is not assigned before"),
        ('import os\nkeepalive = int(os.environ["KEEP"])',
         "the environment variable KEEP is not set in the given files"),
        ("keepalive = 2 ** 9", "its operator is not one of + - * / // %"),
        ("keepalive = 1 / 0", "it divides by zero"),
        ("keepalive = 10 ** 99 * 9", "its operator is not one of + - * / // %"),
        (f"keepalive = {'9' * 30}", "it is too large"),
        ("keepalive = 0x" + "f" * 5000, "it is too large"),
        ("timeout = (keepalive := 5)", "line 1 sets it inside an expression"),
        ('import os as o\nkeepalive = o.popen("x")', "os.popen() is called where it runs"),
    ],
)  # fmt: skip
def test_what_only_a_run_decides_is_unresolved_with_its_reason(text: str, reason: str) -> None:
    value = keepalive(text)
    assert (value.text, value.reason) == (None, reason)
    assert value.span is not None


@pytest.mark.parametrize(
    "text",
    ["keepalive = 5\nfrom base import *", "keepalive = 5\nexec(open('x').read())", "globals()['a'] = 1"],
)
def test_what_may_set_any_name_makes_the_rest_unclear(text: str) -> None:
    found = conf(text)
    assert found.unclear
    assert "keepalive" not in found.values


def test_the_environment_is_asked_first() -> None:
    text = 'import os\nkeepalive = int(os.environ.get("KEEP", "5"))\n'
    value = keepalive(text, {"KEEP": "75"})
    assert (value.text, value.site, value.note) == ("75", None, "environment variable KEEP")
    unresolved = keepalive(text, {"KEEP": None})
    assert unresolved.reason == "the environment variable KEEP cannot be resolved"
    default = keepalive(text, {})
    assert default.note == "the default here: no file sets the environment variable KEEP"
    assert text_at(SourceText("gunicorn.conf.py", text.encode()), default.site) == "5"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("keepalive = 5  # s\n", "keepalive = 90  # s\n"),
        ("keepalive = 60 * 2\n", "keepalive = 90\n"),
        ('keepalive = "5"\n', 'keepalive = "90"\n'),
        ("K = 5\nkeepalive = K\n", "K = 90\nkeepalive = K\n"),
        ("K = 5\nkeepalive = K\ntimeout = K\n", "K = 5\nkeepalive = 90\ntimeout = K\n"),
        ('import os\nkeepalive = os.getenv("K", "5")\n', 'import os\nkeepalive = os.getenv("K", "90")\n'),
        ("ä = 'ö'; keepalive = 5\n", "ä = 'ö'; keepalive = 90\n"),
        ("\ufeffkeepalive = 5\n", "\ufeffkeepalive = 90\n"),
    ],
)  # fmt: skip
def test_a_value_is_edited_where_it_is_written(text: str, after: str) -> None:
    source = SourceText("gunicorn.conf.py", text.encode())
    value = keepalive(text)
    assert value.site is not None
    assert written(source, Site(value.site), 90).data.decode() == after


def test_a_sum_with_the_environment_in_it_is_not_replaced() -> None:
    """A number in its place would end what the environment can set."""
    value = keepalive('import os\nkeepalive = int(os.environ.get("KEEP", "70")) + 5')
    assert (value.text, value.site) == ("75", None)


@pytest.mark.parametrize(
    "text",
    ["", "timeout = 5", "timeout = 5\n", "timeout = 5\r\n", "def f():\n    pass\n", "# end", "x = [\n1]\n"],
)
def test_a_further_line_goes_to_the_end(text: str) -> None:
    source = SourceText("gunicorn.conf.py", text.encode())
    further = conf(text).further
    assert further is not None
    template = further.template.replace("{name}", "keepalive")
    after = written(source, Site(further.span, template), 75)
    assert after.data.startswith(source.data)
    assert keepalive(after.data.decode()).text == "75"


def test_lists_and_texts() -> None:
    found = conf('port = 80\nbind = ["0.0.0.0:8000", f"[::]:{port}", where()]\nworker_class = "g" "thread"')
    assert [value.text for value in found.values["bind"]] == ["0.0.0.0:8000", "[::]:80", None]
    assert found.values["worker_class"][0].text == "gthread"
    assert [name for name, _ in keepalive("A = 1\nB = A\nkeepalive = B").via] == ["B", "A"]


@pytest.mark.parametrize(
    ("text", "line"),
    [("keepalive = = 5", 1), ("a = 1\nprint 'x'", 2), ("{{ keepalive }} = 5", 1), ("a\0", 1)],
)
def test_no_python_is_an_error_with_its_place(text: str, line: int) -> None:
    with pytest.raises(ReadError) as caught:
        conf(text)
    assert caught.value.line == line


_PIECES = st.sampled_from([
    "keepalive", "timeout", " = ", "\n", "os.environ.get(", '"KEEP"', ", ", ")", "5", "+", "int(", "if x:\n",
    "import os\n", "    ", "[", "]", "'\\d'", "from a import *\n", "é", "\r", "\f", "(", "or", " ", "f'{",
    "}'", "#",
])  # fmt: skip


@given(
    st.binary(max_size=100)
    | st.lists(_PIECES, max_size=30).map("".join).map(str.encode)
    | st.lists(
        st.sampled_from(["keepalive=5", "a=keepalive", "keepalive=a+a", "timeout=[a]"]), max_size=8
    ).map(lambda lines: "\n".join(lines).encode())
)
def test_any_bytes_are_a_fragment_or_an_error_with_its_place(data: bytes) -> None:
    source = SourceText("gunicorn.conf.py", data)
    try:
        found = read_conf(source, NAMES, {"KEEP": "75"})
    except ReadError as caught:
        error = caught
    else:
        assert_spans_fit(source, [found.further, *found.values.values()])
        return
    assert error.line is not None
    assert error.line >= 1


@pytest.mark.parametrize(
    "text",
    [
        "a=1;" * 50_000 + "keepalive=a",
        "a=1\n" + "a=a+a\n" * 20_000 + "keepalive=a",
        "keepalive=" + "+".join(["1"] * 2_000),
        "keepalive=[" + "5," * 50_000 + "]",
        "keepalive=" + "(0 or " * 60 + "5" + ")" * 60,
        "a='x'\n" + "a=f'{a}{a}'\n" * 2_000 + "keepalive=a",
    ],
    ids=["one line", "doubling", "long sum", "long list", "nested or", "doubling text"],
)
def test_large_files_take_time_in_proportion(text: str) -> None:
    start = time.process_time()
    conf(text)
    assert time.process_time() - start < 5
