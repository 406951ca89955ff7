"""What a scan counts, keeps and rejects: every line ends in exactly one place."""

from __future__ import annotations

import gzip
import pickle
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.logs.lines import GROUP, A, B, line
from tests.logs.scanning import ERROR, FINE, REFUSED, SOCKET, holding, hostile_lines, logs

from keepalign.errors import ReadError
from keepalign.logs import alb
from keepalign.logs.blocks import LONGEST
from keepalign.logs.objects import REJECTS_SHOWN, Kind, LogObject, Scanned
from keepalign.logs.scan import _SOUND, SHOWN, Stopped, scan
from keepalign.logs.sources import LocalFile
from keepalign.model.observation import LogRow, Rejected

ELB = "app/lb/50dc6c495c0c9188"
MINUTE = 29_922_361


def scanned(data: bytes, tmp_path: Path, *, kind: Kind | None = Kind.ALB) -> tuple[Scanned, list[bytes]]:
    """The result and the lines of its part file; checks the account."""
    found = scan(holding(data), tmp_path / "part", kind=kind)
    assert found.lines == found.errors + found.fine + found.blank + found.rejected_lines
    assert sum(found.counts.values()) == found.errors + found.fine
    part = gzip.decompress(Path(found.part).read_bytes()).split(b"\n")[:-1] if found.part else []
    assert len(part) == found.errors
    return found, part


def test_lines_are_counted_by_minute_target_and_statuses(tmp_path: Path) -> None:
    other = line("0.001 0.020 0.000 200 200", target=B, at=130).encode()
    found, part = scanned(b"\n".join([FINE, FINE, other, ERROR, b"", FINE]), tmp_path)
    assert (found.lines, found.errors, found.fine, found.blank, found.rejected_lines) == (6, 1, 4, 1, 0)
    assert found.counts == {
        (ELB, MINUTE, A, "200", "200"): 3,
        (ELB, MINUTE + 1, B, "200", "200"): 1,
        (ELB, MINUTE + 1, A, "502", "-"): 1,
    }
    assert (found.least, found.most) == (MINUTE, MINUTE + 1)
    assert found.groups == {(ELB, A, GROUP), (ELB, B, GROUP)}
    assert part == [b"4 " + ERROR]
    assert (found.kind, found.size, found.cached) == (
        Kind.ALB,
        len(FINE) * 3 + len(other) + len(ERROR) + 5,
        False,
    )


@pytest.mark.parametrize("first", [b" ".join(FINE.split(b" ")[:12]), FINE.replace(GROUP.encode(), b"-")])
def test_a_target_s_group_is_found_in_a_later_minute(first: bytes, tmp_path: Path) -> None:
    """Lines of the old form name no group: what is learnt from them holds for their minute alone."""
    next_minute = [line("0.001 0.020 0.000 200 200", at=130, target=one).encode() for one in 20 * [B] + [A]]
    lines = [first + b" " * (first.count(b" ") == 11), *next_minute]
    found, _ = scanned(b"\n".join(lines), tmp_path)
    assert found.groups == {(ELB, A, GROUP), (ELB, B, GROUP)}
    assert sorted(found.counts.values()) == [1, 1, 20]


def test_minute_is_the_one_of_the_row(tmp_path: Path) -> None:
    found, _ = scanned(FINE, tmp_path)
    row = alb.read_line(FINE)
    assert isinstance(row, LogRow)
    assert found.least == row.time.us // 60_000_000


@pytest.mark.parametrize(
    ("data", "kept"),
    [(ERROR, 1), (REFUSED, 1), (SOCKET, 0), (FINE, 0), (ERROR.replace(b"http ", b"wss ", 1), 1)],
    ids=["502", "refused", "refused socket", "fine", "502 of a socket"],
)
def test_part_holds_what_is_to_judge(data: bytes, kept: int, tmp_path: Path) -> None:
    """Also behind a line that taught the scanner the statuses with the other type."""
    for before in (b"", REFUSED + b"\n", SOCKET + b"\n"):
        found, part = scanned(before + data + b"\n" + data, tmp_path)
        assert part[-2:].count(b"%d %b" % (found.lines, data)) == kept
        assert found.errors == 2 * kept + (before[:2] == b"ht")


@given(data=st.lists(hostile_lines.filter(lambda line: b"\n" not in line), max_size=25), crlf=st.booleans())
@example(data=[FINE, FINE.replace(b" ", b"  ", 3), ERROR.replace(b" ", b"  "), ERROR[:-3]], crlf=False)
def test_every_line_is_where_the_judge_would_put_it(
    data: list[bytes], crlf: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Errors exactly; of the rest a line may count as fine though a field after the statuses is no good."""
    end = b"\r\n" if crlf else b"\n"
    found, part = scanned(end.join([*data, b""]), tmp_path_factory.mktemp("scan"))
    counts: Counter[tuple[str, int, str, str, str]] = Counter()
    errors = []
    lenient = 0
    for number, text in enumerate(data, 1):
        text = text.rstrip(b"\r\n")
        row = alb.read_line(text)
        if not text.strip():
            continue
        if isinstance(row, Rejected):
            lenient += 1
            continue
        fields = [one.text for one in alb.tokens(text.decode("utf-8", "backslashreplace"))]
        counts[fields[2], row.time.us // 60_000_000, fields[4], fields[8], fields[9]] += 1
        if row.to_judge:
            errors.append(b"%d %b" % (number, text))
    assert part == errors
    assert found.rejected_lines <= lenient
    assert found.blank == sum(not text.strip() for text in data)
    assert not counts - Counter(found.counts)
    assert sum(found.counts.values()) + found.rejected_lines == sum(counts.values()) + lenient
    for rejected in found.rejected:
        assert isinstance(alb.read_line(data[rejected.line - 1].rstrip(b"\r\n")), Rejected)


@given(data=hostile_lines)
@example(data=ERROR)
def test_shortcut_finds_nothing_that_the_reader_rejects(data: bytes) -> None:
    """But for what the counters know of date, target and statuses, which the shortcut leaves to them."""
    sound = _SOUND.fullmatch(data)
    if sound is None:
        return
    row = alb.read_line(data)
    if isinstance(row, Rejected):
        assert "no time like" in row.reason or "target:port" in row.reason
    elif sound[1] is not None:
        assert (row.target_group or "-") == sound[1].decode("utf-8", "backslashreplace")


def test_shortcut_takes_ordinary_lines() -> None:
    for text in (FINE, ERROR, REFUSED, ERROR + b' "-" "-" "-" 192.0.2.1 "new" -'):
        sound = _SOUND.fullmatch(text)
        assert sound is not None
        assert sound[1] == GROUP.encode()


@pytest.mark.parametrize("size", range(1, 12))
def test_too_few_fields_are_rejected_with_their_place(size: int, tmp_path: Path) -> None:
    """Also when the counters know the line's key already."""
    short = b" ".join(FINE.split(b" ")[:size])
    found, _ = scanned(FINE + b"\n" + short, tmp_path)
    assert found.rejected_lines == 1
    assert (found.rejected[0].file, found.rejected[0].line) == ("logs/a.log", 2)
    assert found.rejected[0].reason


def test_rejected_lines_are_cut_and_their_number_is_bounded(tmp_path: Path) -> None:
    found, _ = scanned((b"no log line " + b"y" * 5000 + b"\n") * (REJECTS_SHOWN + 5), tmp_path)
    assert found.rejected_lines == REJECTS_SHOWN + 5
    assert len(found.rejected) == REJECTS_SHOWN
    assert len(found.rejected[0].text) == SHOWN + 1


@pytest.mark.parametrize(("size", "rejected"), [(1_000_000, 0), (LONGEST, 1), (5 * LONGEST, 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_long_lines_are_read_up_to_a_limit(size: int, rejected: int, packed: bool, tmp_path: Path) -> None:
    long = line("0.001 0.003 -1 502 -", request="GET http://a/" + "x" * size).encode()
    data = b"\n".join([FINE, long, FINE, long])
    found, part = scanned(gzip.compress(data, 1) if packed else data, tmp_path)
    assert (found.rejected_lines, found.errors, found.fine) == (2 * rejected, 2 - 2 * rejected, 2)
    if rejected:
        assert "more than 1048576 bytes" in found.rejected[0].reason
        assert [one.line for one in found.rejected] == [2, 4]
        assert len(found.rejected[0].text) <= SHOWN + 1
    else:
        assert part == [b"2 " + long, b"4 " + long]


@given(data=logs, cut=st.integers(0, 1 << 16))
def test_nothing_raises_and_gzip_changes_nothing(
    data: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("scan")
    plain, part = scanned(data, folder)
    packed, packed_part = scanned(gzip.compress(data), folder)
    packed.size = plain.size
    packed.part, plain.part = "", ""
    assert (packed, packed_part) == (plain, part)
    broken, _ = scanned(gzip.compress(data)[: 3 + cut % (len(data) + 20)], folder)
    assert broken.lines <= plain.lines
    if plain.lines == 0:
        assert (plain.least, plain.most, plain.counts) == (None, None, {})


def test_broken_gzip_keeps_what_came(tmp_path: Path) -> None:
    data = b"".join(b"%b\n" % line("0.001 0.020 0.000 200 200", at=n).encode() for n in range(3000))
    found, _ = scanned(gzip.compress(data)[:-2000], tmp_path)
    assert 1000 < found.fine < 3000
    assert found.rejected_lines <= 1
    assert len(found.notes) == 1
    assert found.notes[0].startswith("logs/a.log: the gzip stream breaks off")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Kind.ALB),
        (b"\n\n", Kind.ALB),
        (FINE, Kind.ALB),
        (b"junk\n" * 2000 + FINE, Kind.ALB),
        (b"\x89PNG\r\n\x1a\n\0\0", Kind.ALB),
        (b"Enable AccessLog for ELB: app/lb/1 at 2026-11-22T10:00:00Z", Kind.TEST),
        (
            b"2026-11-22T10:00:00.1Z 192.0.2.7 40001 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.01 - - - - - -",
            Kind.CONNECTION,
        ),
    ],
)
def test_kind_is_known_by_content(data: bytes, kind: Kind, tmp_path: Path) -> None:
    found, _ = scanned(data, tmp_path, kind=None)
    assert found.kind is kind
    # Of what could be a log each line is told of.
    lines = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert found.lines == (lines if kind is Kind.ALB else 0)


def test_other_kinds_by_name_are_not_counted(tmp_path: Path) -> None:
    found, _ = scanned(FINE, tmp_path, kind=Kind.HEALTH)
    assert (found.kind, found.lines) == (Kind.HEALTH, 0)


def test_json_lines_go_the_same_way(tmp_path: Path) -> None:
    record = (
        b'{"type":"http","time":"2026-11-22T10:02:10.000000Z","elb":"app/lb/50dc6c495c0c9188",'
        b'"client_port":"192.0.2.7:40001","target_port":"10.0.0.1:80","request_processing_time":0.001,'
        b'"target_processing_time":0.003,"response_processing_time":-1,"elb_status_code":502,'
        b'"target_status_code":"-","received_bytes":94,"sent_bytes":0,"request":"GET http://a/ HTTP/1.1"}\n'
    )
    for kind in (None, Kind.ALB):
        found, part = scanned(gzip.compress(record + b"\n" + b'{"broken\n' + record), tmp_path, kind=kind)
        assert found.kind is Kind.ALB_JSON
        assert (found.errors, found.rejected_lines, found.blank) == (2, 1, 1)
        assert found.counts == {(ELB, MINUTE + 1, A, "502", "-"): 2}
        assert [text.split(b" ", 1)[0] for text in part] == [b"1", b"4"]


def test_progress_may_stop_the_scan(tmp_path: Path) -> None:
    told: list[int] = []

    def progress(more: int) -> None:
        told.append(more)
        if len(told) == 2:
            raise Stopped

    data = (FINE + b"\n") * 4000 + ERROR
    found = scan(holding(data), tmp_path / "part", kind=Kind.ALB, progress=progress)
    assert 0 < found.lines < 4000
    assert found.lines == found.fine
    assert found.notes == [f"logs/a.log: reading was stopped after {found.lines} lines"]


def test_an_object_that_is_gone_is_an_error_with_its_name(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.log")
    with pytest.raises(ReadError) as caught:
        scan(LogObject(gone, 1, "", LocalFile(gone)), tmp_path / "part", kind=None)
    assert caught.value.file == gone


def test_scan_runs_in_a_process_that_was_spawned(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(FINE + b"\n" + ERROR)
    obj = LogObject(str(path), 1, "", LocalFile(str(path)))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(scan, obj, tmp_path / "part", kind=Kind.ALB).result(60)
    assert there == scan(obj, tmp_path / "part", kind=Kind.ALB)
    assert pickle.loads(pickle.dumps(there)) == there
