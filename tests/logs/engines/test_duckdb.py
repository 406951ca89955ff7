"""The shared SQL over files, against the scan of this machine."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.engines.samples import EVIDENCE, HOSTILE, lines, read_here, rejects, shares, split, write
from tests.logs.lines import GROUP, line
from tests.logs.scanning import holding

from keepalign.errors import ReadError, UsageError
from keepalign.logs import alb
from keepalign.logs.engines import _lines
from keepalign.logs.engines import duckdb as engine
from keepalign.logs.objects import LogObject, Scanned
from keepalign.logs.scan import scan
from keepalign.logs.sources import LocalFile
from keepalign.logs.wanted import Wanted
from keepalign.units import Instant

PLAIN = [text for text in HOSTILE if not any(byte == 0x1F or 0x80 <= byte < 0xA0 for byte in text)]


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def counters(scanned: list[Scanned]) -> dict[tuple[str, int, str, str, str], int]:
    found: dict[tuple[str, int, str, str, str], int] = {}
    for one in scanned:
        for key, count in one.counts.items():
            found[key] = found.get(key, 0) + count
    return found


@pytest.mark.parametrize("most_rows", [20_000, 7])
def test_duckdb_and_the_local_scan_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    objects = write(tmp_path / "logs", [*split(lines(1, 1500), 5), PLAIN, PLAIN])
    here, scanned = read_here(objects, tmp_path / "here", most_rows=most_rows)
    # DuckDB reads each of these files, and nobody else.
    monkeypatch.delattr(engine, "scan")
    answer = engine.run(objects, EVIDENCE, folder=folder(tmp_path, "there"), most_rows=most_rows)
    assert list(answer.judged) == here
    assert len({one.cause for one in here}) > 8
    assert shares(answer.scanned) == shares(scanned)
    assert rejects(answer.scanned) == rejects(scanned)
    assert counters(answer.scanned) == counters(scanned)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(since=Instant(1_795_343_400_000_000)),
        Wanted(until=Instant(1_795_343_400_010_000)),
        Wanted(target_group="orders", path="/a/*"),
        Wanted(target_group=GROUP),
        Wanted(path="/x%20y/[12]"),
        Wanted(path="' OR 1=1 --"),
    ],
)
def test_filters_keep_the_same_rows_everywhere(tmp_path: Path, wanted: Wanted) -> None:
    objects = write(tmp_path / "logs", [*split(lines(2, 600), 2), PLAIN])
    here, _ = read_here(objects, tmp_path / "here", wanted=wanted)
    answer = engine.run(objects, EVIDENCE, folder=folder(tmp_path, "there"), wanted=wanted)
    assert list(answer.judged) == here
    assert bool(here) is (wanted.path != "' OR 1=1 --")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cr.log", b"\r\n".join(text.encode() for text in lines(3, 50))),
        ("one-cr.log", b"\n".join([*PLAIN, b"a\rb"])),
        ("separator.log", b"\n".join([*PLAIN, b"a\x1fb"])),
        ("long.log", b"\n".join([lines(3, 1)[0].encode(), b"x" * 3_000_000, PLAIN[0]])),
        ("half.log.gz", gzip.compress(b"\n".join(PLAIN), mtime=0)[:-40]),
        ("no-suffix", gzip.compress(b"\n".join(PLAIN), mtime=0)),
        ("no end [1].log", b"\n".join(PLAIN)),
        ("quote's.log", b"\n".join(PLAIN)),
        ("empty.log", b""),
        ("foreign.log", b"hello\nworld\n"),
    ],
)
def test_file_that_is_more_than_lines_is_read_all_the_same(tmp_path: Path, name: str, data: bytes) -> None:
    objects = write(tmp_path / "logs", [PLAIN])
    odd = tmp_path / name
    odd.write_bytes(data)
    objects.append(LogObject(str(odd), len(data), "", LocalFile(str(odd))))
    here, scanned = read_here(objects, tmp_path / "here")
    answer = engine.run(objects, EVIDENCE, folder=folder(tmp_path, "there"))
    assert list(answer.judged) == here
    assert shares(answer.scanned) == shares(scanned)
    assert rejects(answer.scanned) == rejects(scanned)
    assert [one.notes for one in answer.scanned] == [one.notes for one in scanned]


def test_objects_from_elsewhere_are_scanned(tmp_path: Path) -> None:
    objects = [holding(b"\n".join(PLAIN), name="s3://bucket/a.log")]
    here, _ = read_here(objects, tmp_path / "here")
    answer = engine.run(objects, EVIDENCE, folder=folder(tmp_path, "there"))
    assert list(answer.judged) == here
    assert here


def test_missing_duckdb_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError) as found:
        engine.run([], EVIDENCE, folder=tmp_path)
    assert "keepalign[logs]" in found.value.hint


def test_file_that_is_gone_is_a_read_error(tmp_path: Path) -> None:
    objects = write(tmp_path / "logs", [PLAIN])
    Path(objects[0].name).unlink()
    with pytest.raises(ReadError) as found:
        engine.run(objects, EVIDENCE, folder=folder(tmp_path, "there"))
    assert found.value.file == objects[0].name


ERROR = line("0.001 4.205 -1 502 -")
FINE = line("0.001 0.012 0.000 200 200")
pieces = st.sampled_from(
    ['"', '""', "\\", '\\"', " ", "  ", "-", "x", '" x', 'x"', "\x00", "é", "\\x22", "0", "9", ":"]
)


@given(
    st.sampled_from([ERROR, FINE, ERROR.replace("2026-11-22", "2028-02-29")]),
    st.lists(st.tuples(st.integers(0, len(ERROR)), st.integers(0, 3), pieces), max_size=3),
)
def test_usual_lines_split_as_the_tokenizer_splits(text: str, edits: list[tuple[int, int, str]]) -> None:
    for at, removed, piece in edits:
        text = text[:at] + piece + text[at + removed :]
    if not re.fullmatch(_lines.USUAL, text, re.ASCII) or re.search(_lines.ODD, text):
        return
    texts = alb.texts_of(text)
    assert texts is not None
    quotes = text.split('"')
    found = []
    part, word = 0, 0
    for _, quoted in alb.FIELDS[: len(texts)]:
        if quoted:
            part, word = part + 2, 1
            found.append(quotes[part - 1])
        else:
            found.append(quotes[part].split(" ")[word])
            word += 1
    assert found == texts[: len(alb.FIELDS)]


def test_most_lines_are_usual() -> None:
    for text in (ERROR, FINE, *lines(4, 200)):
        assert re.fullmatch(_lines.USUAL, text, re.ASCII)


@given(
    st.sampled_from([ERROR, FINE, FINE.replace("http ", "ws "), line("-1 -1 -1 400 -", target="-")]),
    st.lists(st.tuples(st.integers(0, 140), st.integers(0, 3), pieces), max_size=2),
)
def test_unusual_lines_are_told_as_a_scan_tells_them(
    tmp_path_factory: pytest.TempPathFactory, text: str, edits: list[tuple[int, int, str]]
) -> None:
    for at, removed, piece in edits:
        text = text[:at] + piece + text[at + removed :]
    place = tmp_path_factory.mktemp("told")
    by_scan = scan(
        holding(text.encode(), name="a_elasticloadbalancing_x-1_app.b.log"), place / "a", kind=None
    )
    told = Scanned(by_scan.name, by_scan.kind, by_scan.size, lines=1)
    _lines.sort_out([(1, text.encode())], told, place / "b")
    if by_scan.lines == 1:
        assert (told.errors, told.fine, told.blank, told.rejected_lines) == (
            by_scan.errors,
            by_scan.fine,
            by_scan.blank,
            by_scan.rejected_lines,
        )
        assert (told.counts, told.groups) == (by_scan.counts, by_scan.groups)
        assert told.rejected == by_scan.rejected
