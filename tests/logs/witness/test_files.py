"""Whole files: forms told apart, every line accounted for."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.witness.said import after, heard_in, row, saws, utc

from keepalign.errors import ReadError, UsageError
from keepalign.logs.witness import files
from keepalign.logs.witness.files import Hearing, Witness, hear
from keepalign.logs.witness.interest import Interest
from keepalign.model.observation import Saw
from keepalign.units import Duration

ACCESS = '192.0.2.7 - - [23/Nov/2026:12:{minute:02d}:20 +0000] "GET {path} HTTP/1.1" {status} 5 "-" "curl"'
NGINX = (
    "2026/11/23 12:00:20 [error] 7#7: *9 upstream timed out (110: Connection timed out) while reading"
    ' response header from upstream, client: 192.0.2.7, server: , request: "GET /orders HTTP/1.1"'
)
GUNICORN = "[2026-11-23 12:00:20 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)"
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "app.py", line 1, in get',
    "    raise ValueError",
    "ValueError: no",
]


def access(minute: int = 0, path: str = "/orders", status: int = 200) -> str:
    return ACCESS.format(minute=minute, path=path, status=status)


def test_traceback_is_the_rest_of_a_line_in_any_log(tmp_path: Path) -> None:
    (one,) = heard_in(tmp_path, [*TRACEBACK, NGINX, *TRACEBACK, access(), "ValueError: no"]).statements
    assert (one.told, one.continued, one.rejected_lines) == (2, 8, 1)


def accounted(hearing: Hearing) -> bool:
    (one,) = hearing.statements
    return one.lines == one.told + one.silent + one.blank + one.continued + one.rejected_lines


def test_output_of_a_container_may_hold_several_forms(tmp_path: Path) -> None:
    hearing = heard_in(
        tmp_path, [access(), NGINX, GUNICORN, "", *TRACEBACK, "a line that the application prints"]
    )
    assert saws(hearing) == [Saw.ANSWERED, Saw.BACKEND_TIMED_OUT, Saw.WORKER_KILLED]
    (one,) = hearing.statements
    assert (one.lines, one.told, one.blank, one.continued, one.rejected_lines) == (9, 3, 1, 5, 0)
    assert [said.line for said in hearing.testimonies[:3]] == [1, 2, 3]


@pytest.mark.parametrize(
    "wrap",
    [
        "2026-11-23T12:00:20.123456789Z {}",
        "2026-11-23T12:00:20.123456789Z stdout F {}",
        "2026-11-23T12:00:20.123456+00:00 ecs/app/0123abcd {}",
        "JSON",
    ],
)
def test_time_that_a_platform_put_before_a_line_dates_it(tmp_path: Path, wrap: str) -> None:
    def wrapped(line: str) -> str:
        if wrap == "JSON":
            return json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-23T12:00:20.123456Z"})
        return wrap.format(line)

    lines = ["INFO:     Shutting down", NGINX.replace("12:00:20", "14:00:20"), access()]
    hearing = heard_in(tmp_path, [wrapped(line) for line in lines])
    at = utc("2026-11-23T12:00:20.123456Z")
    assert {one.saw: one.at for one in hearing.testimonies if one.saw is not Saw.COVERED} == {
        Saw.STOPPING: at,
        Saw.BACKEND_TIMED_OUT: at,
        Saw.ANSWERED: utc("2026-11-23T12:00:20Z"),
    }
    assert not hearing.notes


def test_line_of_the_journal_is_read(tmp_path: Path) -> None:
    assert saws(heard_in(tmp_path, [f"Nov 23 12:00:20 web-1 gunicorn[7]: {GUNICORN}"])) == [Saw.WORKER_KILLED]


def test_gzip_that_breaks_off_gives_what_came(tmp_path: Path) -> None:
    data = gzip.compress("".join(f"{access(n % 60)}\n" for n in range(5000)).encode())
    assert len(saws(heard_in(tmp_path, data))) == 5000
    hearing = heard_in(tmp_path, data[: len(data) // 2])
    assert 0 < len(saws(hearing)) < 5000
    assert "breaks off" in hearing.notes[0]


@pytest.mark.parametrize("packed", [False, True])
def test_witness_may_be_a_pipe(packed: bool, tmp_path: Path) -> None:
    """`--with <(kubectl logs …)`; a gzip stream that is damaged is not asked for again."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = f"{NGINX}\n{access()}\n".encode()
    if packed:
        data = gzip.compress(data)[:-8] + b"12345678"
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    hearing = hear([Witness(str(pipe))])
    writer.join()
    assert any("damaged" in note for note in hearing.notes) is packed
    assert hearing.statements[0].told == (0 if packed else 2)


def test_line_without_end_is_one_that_is_not_understood(tmp_path: Path) -> None:
    one = heard_in(tmp_path, gzip.compress(b"x" * 40_000_000) + gzip.compress(f"\n{NGINX}\n".encode()))
    (statement,) = one.statements
    assert (statement.lines, statement.told, statement.rejected_lines) == (2, 1, 1)
    assert len(statement.rejected[0].text) <= 1 << 21


def test_line_of_no_known_form_is_rejected_with_its_place(tmp_path: Path) -> None:
    hearing = heard_in(tmp_path, ["what is this", access(), "and this", "  indented"])
    (one,) = hearing.statements
    assert [(said.line, said.text) for said in one.rejected] == [(1, "what is this"), (3, "and this")]
    assert (one.rejected_lines, one.continued) == (2, 1)
    hearing = heard_in(tmp_path, ["nothing", "of", "this"])
    assert "--with-format" in hearing.notes[0]


def test_only_lines_near_the_errors_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    interest = Interest.of([row("0.001 0.000 -1 502 -", at=610)])
    lines = [access(minute, path) for minute in range(30) for path in ("/orders", "/other")]
    hearing = heard_in(tmp_path, [*lines, NGINX], interest=interest)
    assert [one.at.us // 60_000_000 % 60 for one in hearing.testimonies if one.saw is Saw.ANSWERED] == [
        8,
        9,
        10,
        11,
        12,
    ]
    assert hearing.statements[0].told == 61
    assert Saw.BACKEND_TIMED_OUT in saws(hearing)


def test_access_log_covers_the_time_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    lines = [access(minute) for minute in (5, 25, 45)]
    hearing = heard_in(tmp_path, lines, target="10.0.0.1:80", interest=Interest.of([]))
    pieces = hearing.testimonies
    assert {one.saw for one in pieces} == {Saw.COVERED}
    begin = [one.at + -(one.took or Duration(0)) for one in pieces]
    assert begin == [after(320), after(600), after(1200), after(1800), after(2400)]
    assert [one.at for one in pieces] == [*begin[1:], after(2720)]


def test_access_log_with_a_hole_covers_neither_end_of_it(tmp_path: Path) -> None:
    late = access(5).replace(":12:", ":15:")
    pieces = heard_in(tmp_path, [access(5), access(6), late], interest=Interest.of([])).testimonies
    assert [(one.at.us - after(0).us) // 60_000_000 for one in pieces] == [10, 185]


def test_witness_is_named_with_its_target(tmp_path: Path) -> None:
    assert Witness.parse("10.0.1.5:80=access.log") == Witness("access.log", "10.0.1.5:80")
    assert Witness.parse("10.0.1.5=logs/a=b.log") == Witness("logs/a=b.log", "10.0.1.5")
    assert Witness.parse("[2001:db8::1]:80=access.log") == Witness("access.log", "2001:db8::1:80")
    assert Witness.parse("logs/a=b.log") == Witness("logs/a=b.log")
    (tmp_path / "a=b").touch()
    assert Witness.parse(str(tmp_path / "a=b")) == Witness(str(tmp_path / "a=b"))
    with pytest.raises(UsageError):
        Witness.parse("access.log", formats="$status")
    with pytest.raises(UsageError):
        Witness.parse("access.log", zone="nowhere")


def test_format_that_is_given_is_tried_first(tmp_path: Path) -> None:
    witness = Witness.parse("x", formats="log_format a '$msec $status $request_time $request';")
    hearing = heard_in(tmp_path, ["1795435220.000 502 0.001 GET /orders HTTP/1.1"], formats=witness.formats)
    assert saws(hearing) == [Saw.ANSWERED]


def test_zone_that_nothing_shows_is_said_and_one_that_is_given_holds(tmp_path: Path) -> None:
    hearing = heard_in(tmp_path, [NGINX])
    assert "taken as UTC" in hearing.notes[0]
    hearing = heard_in(tmp_path, [NGINX], zone="+02:00")
    assert (hearing.testimonies[0].at, hearing.notes) == (utc("2026-11-23T10:00:20Z"), ())


def test_zone_is_found_out_from_another_log(tmp_path: Path) -> None:
    lines = [NGINX.replace("12:00", f"14:0{n}").replace("/orders", f"/{n}") for n in range(3)]
    (tmp_path / "error.log").write_text("\n".join(lines))
    (tmp_path / "access.log").write_text("\n".join(access(n, f"/{n}", 504) for n in range(3)))
    hearing = hear([Witness(str(tmp_path / name)) for name in ("error.log", "access.log")])
    assert "UTC+02:00" in hearing.notes[0]
    timed_out = [one.at for one in hearing.testimonies if one.saw is Saw.BACKEND_TIMED_OUT]
    assert timed_out == [after(20), after(80), after(140)]


def test_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ReadError) as failed:
            hear([Witness(str(path))])
        assert failed.value.file == str(path)


def test_limit_of_what_is_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST", 3)
    hearing = heard_in(tmp_path, [access(minute) for minute in range(9)])
    assert len(saws(hearing)) == 3
    assert hearing.statements[0].told == 9
    assert "first 3 lines" in hearing.notes[0]
    covered = [one.at for one in hearing.testimonies if one.saw is Saw.COVERED]
    assert covered == [after(3 * 60 + 20)]


def test_lines_that_bear_no_time_are_counted_and_said(tmp_path: Path) -> None:
    hearing = heard_in(tmp_path, ["INFO:     Shutting down", "INFO:     Finished server process [7]"])
    assert (hearing.statements[0].silent, hearing.testimonies) == (2, ())
    assert "bear no time" in hearing.notes[0]


PIECES = [
    access(),
    NGINX,
    GUNICORN,
    *TRACEBACK,
    "\x00",
    "\\",
    '"',
    " ",
    "[23/Nov/2026:12:00:20 +0000]",
    "{",
    '"}',
    "é",
    "\x1b[31m",
]


@given(st.lists(st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda parts: "".join(parts).encode())))
def test_any_bytes_are_accounted_for(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    hearing = heard_in(tmp_path_factory.mktemp("any"), data)
    assert accounted(hearing)
    if not data.startswith(b"\x1f\x8b"):
        assert hearing.statements[0].lines == len(data.split(b"\n")) - (data.endswith(b"\n") or not data)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "unit", ["a", " ", '"', "\\", "[", "{", "2026-11-23T12:00:20Z ", "<", "x/ ", '{"log":']
)
def test_long_line_takes_no_longer_than_its_length(tmp_path: Path, unit: str) -> None:
    line = unit * (1_000_000 // len(unit))
    hearing = heard_in(tmp_path, [line, NGINX + line, access() + line, GUNICORN + line, f'{{"a":"{line}"}}'])
    assert accounted(hearing)


def test_two_lines_of_one_failure_are_one_testimony(tmp_path: Path) -> None:
    at = "[Mon Nov 23 12:00:20.600634 2026] [proxy_http:error] [pid 7:tid 9] "
    status_line = "AH01102: error reading status line from remote server 127.0.0.1:8000"
    lines = [
        f"{at}(104)Connection reset by peer: [client 192.0.2.7:5] {status_line}",
        f"{at}[client 192.0.2.7:5] AH00898: Error reading from remote server returned by /orders",
    ]
    (one,) = heard_in(tmp_path, lines, zone="UTC").testimonies
    assert (one.line, one.saw, one.path, one.backend) == (1, Saw.BACKEND_CLOSED, "/orders", "127.0.0.1:8000")
    (one,) = heard_in(tmp_path, lines[:1], zone="UTC").testimonies
    assert one.path is None
