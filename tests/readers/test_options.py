"""Options of application servers: which value wins, which lose, and after how many requests workers end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from keepalign.model.setting import Explicit
from keepalign.model.source import SourceText
from keepalign.readers import app_servers
from keepalign.readers._fragments import AppFragment
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.shell import ScriptReader


def read(
    line: str,
    environment: Mapping[str, str | None] | None = None,
    lookup: Callable[[str], SourceText | str | None] = lambda _name: None,
) -> AppFragment:
    """What a script that ends in `line` starts."""
    command = ScriptReader().read(SourceText("run.sh", line.encode())).command
    assert command is not None
    fragment = app_servers.read_command(command, environment, lookup)
    assert fragment is not None
    return fragment


@pytest.mark.parametrize(
    ("line", "after", "jitter"),
    [
        ("gunicorn app.wsgi -w 4 --max-requests 1000 --max-requests-jitter 50", "1000", "50"),
        ("gunicorn app.wsgi --workers=3 --threads=2 --max-requests=500", "500", "0"),
        ("gunicorn main:app -k uvicorn.workers.UvicornWorker --max-requests 1200", "1200", "0"),
        ("exec uvicorn app.main:app --workers 2 --limit-max-requests 10000", "10000", "0"),
        ("uvicorn app:app --limit-max-requests 100 --limit-max-requests-jitter 10", "100", "10"),
        ("hypercorn app:app --max-requests 5000 --max-requests-jitter 500", "5000", "500"),
        ("gunicorn app.wsgi --max-requests 1000 --max-requests-jitter $JITTER", "1000", None),
    ],
)
def test_number_and_jitter_are_read(line: str, after: str, jitter: str | None) -> None:
    traits = read(line, {"JITTER": None}).traits
    assert (traits["recycle_after"], traits.get("recycle_jitter")) == (after, jitter)


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn app.wsgi", "gunicorn app.wsgi --max-requests 0", "gunicorn app.wsgi --max-requests $N",
        "uvicorn app:app --workers 4", "gunicorn app.wsgi --max-requests-jitter 50",
    ],
)  # fmt: skip
def test_nothing_is_told_where_no_worker_is_replaced_or_nobody_knows(line: str) -> None:
    assert not read(line, {"N": None}).traits


def test_configuration_file_says_it_as_well() -> None:
    conf = SourceText("gunicorn.conf.py", b"workers = 4\nmax_requests = 1000\nmax_requests_jitter = 100\n")
    traits = read(
        "gunicorn app.wsgi", lookup=lambda name: conf if name == "gunicorn.conf.py" else None
    ).traits
    assert traits == {"recycle_after": "1000", "recycle_jitter": "100"}


@pytest.mark.parametrize(
    ("line", "environment", "losers"),
    [
        ("gunicorn a:a --threads 2 --keep-alive 5", {"GUNICORN_CMD_ARGS": "--keep-alive 75"}, 1),
        ("gunicorn a:a --threads 2 --keep-alive 5", {"GUNICORN_CMD_ARGS": "--keep-alive 5"}, 0),
        ("gunicorn a:a --threads 2 --keep-alive 75 --keep-alive 5", {}, 1),
        ("uvicorn a:a --timeout-keep-alive 5", {"UVICORN_TIMEOUT_KEEP_ALIVE": "75"}, 1),
        ("uvicorn a:a --timeout-keep-alive 5", {}, 0),
    ],
)
def test_values_that_lose_are_named_with_the_one_that_wins(
    line: str, environment: Mapping[str, str], losers: int
) -> None:
    keep = read(line, environment).keep_alive
    assert isinstance(keep, Explicit)
    assert keep.value.seconds == 5
    assert len(keep.origin.losers) == losers
    assert all("75" in step.what for step in keep.origin.losers)


def test_of_two_lines_of_apache_the_first_loses() -> None:
    conf = (
        b"Listen 80\nKeepAliveTimeout 75\nKeepAliveTimeout 5\nTimeout 60\nTimeout 60\n"
        b"<VirtualHost *:80>\nKeepAliveTimeout 15\n</VirtualHost>\n"
        b"<VirtualHost *:80>\nServerName other\n</VirtualHost>\n"
    )
    own, inherited = ApacheReader().read(SourceText("httpd.conf", conf)).hosts
    keep = [host.keep_alive_timeout for host in (own, inherited)]
    assert [one.value.seconds for one in keep if isinstance(one, Explicit)] == [15, 15]
    assert not any(one.origin.losers for one in keep if isinstance(one, Explicit))
    (main,) = ApacheReader().read(SourceText("httpd.conf", conf[: conf.index(b"<Virtual")])).hosts
    assert isinstance(main.keep_alive_timeout, Explicit)
    assert isinstance(main.timeout, Explicit)
    assert [step.what for step in main.keep_alive_timeout.origin.losers] == ["KeepAliveTimeout 75"]
    assert not main.timeout.origin.losers


def test_every_place_that_loses_is_named_the_strongest_first() -> None:
    conf = SourceText("gunicorn.conf.py", b"keepalive = 90\n")
    environment = {"GUNICORN_CMD_ARGS": "--keep-alive 75"}
    keep = read("gunicorn a:a --threads 2 --keep-alive 5", environment, lambda _name: conf).keep_alive
    assert isinstance(keep, Explicit)
    assert [step.what for step in keep.origin.losers] == [
        "--keep-alive 75 (GUNICORN_CMD_ARGS)",
        "keepalive = 90 (gunicorn.conf.py)",
    ]
    assert [step.span.file for step in keep.origin.losers] == ["run.sh", "gunicorn.conf.py"]
