"""Error rows in order, from memory and through files; counters of a window."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.engines.samples import HOSTILE, lines
from tests.logs.lines import GROUP, line, row

from keepalign.errors import ReadError
from keepalign.logs import alb, parts
from keepalign.logs.objects import Kind, Scanned
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import Key, key_of
from keepalign.model.observation import CounterKey, LogRow, Rejected
from keepalign.units import Instant

ELB = "app/lb/50dc6c495c0c9188"
HOUR = 1_795_341_600 // 3600


def scanned(folder: Path, name: str, texts: list[bytes], *, packed: bool = False) -> Scanned:
    data = b"".join(b"%d %b\n" % (number, text) for number, text in enumerate(texts, 1))
    path = folder / f"{name}.part"
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return Scanned(name, Kind.ALB, errors=len(texts), part=str(path))


def expected(named: dict[str, list[bytes]]) -> list[LogRow]:
    found = [
        one
        for name, texts in named.items()
        for number, text in enumerate(texts, 1)
        if isinstance(one := alb.read_line(text, file=name, number=number), LogRow)
    ]
    return sorted(found, key=lambda one: (one.elb, one.target_group or "", one.time.us, one.file, one.line))


def readable() -> list[bytes]:
    whole = [text for text in HOSTILE if isinstance(alb.read_line(text), LogRow)]
    assert len(whole) > 25
    return whole + [text.encode() for text in lines(5, 400)]


@pytest.mark.parametrize("memory_rows", [1, 2, 7, 100, 100_000])
def test_rows_come_in_order_however_few_fit(tmp_path: Path, memory_rows: int) -> None:
    texts = readable()
    named = {"b.log": texts[::2], "a.log": texts[1::2], "c.log": texts[:50]}
    given_ = [scanned(tmp_path, name, part, packed=name == "a.log") for name, part in named.items()]
    found = list(parts.rows(given_, wanted=Wanted(), folder=tmp_path, memory_rows=memory_rows))
    assert found == expected(named)
    keys = [key_of(one) for one in found]
    assert keys == sorted(keys)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".part"] * 3


def test_large_lines_count_by_their_bytes(tmp_path: Path) -> None:
    texts = [line("0.001 4 -1 502 -", at=at, request="GET /" + "x" * 5000).encode() for at in range(40)]
    given_ = [scanned(tmp_path, "a.log", texts)]
    running = parts.rows(given_, wanted=Wanted(), folder=tmp_path, memory_bytes=20_000)
    first = next(running)
    runs = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".part"]
    assert len(runs) == 40 // 4 - 1
    assert [first, *running] == expected({"a.log": texts})


def test_files_are_gone_when_somebody_stops_reading(tmp_path: Path) -> None:
    given_ = [scanned(tmp_path, "a.log", readable())]
    running = parts.rows(given_, wanted=Wanted(), folder=tmp_path, memory_rows=10)
    next(running)
    assert len(list(tmp_path.iterdir())) == 2
    running.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.log.part"]


@pytest.mark.parametrize("agent", ['"a\\x22b"', '"a"b c d e f"', '"a\\"b"', '"a" "b"'])
def test_quotes_within_quotes_do_not_hide_the_group(tmp_path: Path, agent: str) -> None:
    """A quote ends its field only where a blank follows; a row is where its own fields say."""
    texts = [
        line("0.001 4 -1 502 -", at=at).replace('"curl/8.5"', one).encode()
        for at, one in enumerate((agent, '"curl/8.5"', agent))
    ]
    assert agent.encode() in texts[0]
    given_ = [scanned(tmp_path, "a.log", texts)]
    assert list(parts.rows(given_, wanted=Wanted(), folder=tmp_path)) == expected({"a.log": texts})
    cut = parts.portions(given_, folder=tmp_path)
    names = ["a.log"]
    assert all(key_of(one) == each.key for each in cut for one in parts.read_portion(each, names)[0])


def test_rows_that_were_pasted_are_sorted_in(tmp_path: Path) -> None:
    texts = [line("0.001 4 -1 502 -", at=at).encode() for at in (10, 30)]
    pasted = [row(line("0.001 4 -1 502 -", at=20)), row(line("0.001 4 0.1 200 200", at=21))]
    given_ = [scanned(tmp_path, "a.log", texts), Scanned("-", Kind.ALB, rows=pasted)]
    found = list(parts.rows(given_, wanted=Wanted(), folder=tmp_path))
    assert [one.file for one in found] == ["a.log", "-", "a.log"]
    assert [one.time.us // 1_000_000 % 60 for one in found] == [10, 20, 30]


def test_only_what_is_wanted_is_given(tmp_path: Path) -> None:
    texts = [
        line("0.001 4 -1 502 -", at=at, request=f"GET http://a/{at} HTTP/1.1").encode() for at in range(9)
    ]
    since = Instant(1_795_341_600_000_000 + 3_000_000)
    wanted = Wanted(since=since, path="/[!5]")
    given_ = [
        scanned(tmp_path, "a.log", texts),
        Scanned("-", Kind.ALB, rows=[row(texts[1].decode()), row(texts[4].decode())]),
    ]
    found = list(parts.rows(given_, wanted=wanted, folder=tmp_path, memory_rows=2))
    assert [one.path for one in found] == ["/3", "/4", "/4", "/6", "/7", "/8"]


def test_line_that_cannot_be_read_after_all_is_not_lost(tmp_path: Path) -> None:
    one = scanned(tmp_path, "a.log", [readable()[0], b"nonsense"])
    for _ in range(2):
        found = list(parts.rows([one], wanted=Wanted(), folder=tmp_path))
        assert [each.line for each in found] == [1]
    assert (one.errors, one.rejected_lines) == (1, 1)
    assert [(each.line, each.text) for each in one.rejected] == [(2, "nonsense")]
    assert isinstance(one.rejected[0], Rejected)


@pytest.mark.parametrize(
    "data", [b"no number\n", gzip.compress(b"1 x\n" * 9, mtime=0)[:-9], None], ids=["words", "cut", "gone"]
)
def test_broken_part_names_its_object(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "x.part"
    if data is not None:
        path.write_bytes(data)
    one = Scanned("a.log", Kind.ALB, errors=1, part=str(path))
    with pytest.raises(ReadError) as found:
        list(parts.rows([one], wanted=Wanted(), folder=tmp_path))
    assert found.value.file == "a.log"
    assert found.value.hint


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.binary(max_size=20)), max_size=60),
    st.integers(1, 9),
)
def test_sorting_through_files_is_sorting(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[str, int, bytes]], memory_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    keyed = [(elb, "", us, 0, number, text) for number, (elb, us, text) in enumerate(given_)]
    found = list(parts._sorted(keyed, folder, memory_rows, 1 << 20))
    assert found == sorted(keyed)


def test_more_runs_than_are_merged_at_once_are_merged_in_steps(tmp_path: Path) -> None:
    keyed = [("a", "", (n * 7919) % 1009, 0, n, b"x") for n in range(parts._FAN_IN * 2 + 5)]
    assert list(parts._sorted(keyed, tmp_path, 1, 1 << 20)) == sorted(keyed)
    assert not list(tmp_path.iterdir())


def counted(*entries: tuple[int, str, str, str, int], groups: set[tuple[str, str]]) -> Scanned:
    return Scanned(
        "a.log",
        Kind.ALB,
        counts={
            (ELB, HOUR * 60 + minute, target, elb, own): lines for minute, target, elb, own, lines in entries
        },
        groups={(ELB, target, group) for target, group in groups},
    )


def test_counters_hold_a_group_s_targets_and_an_hour_on_both_sides() -> None:
    one = counted(
        (-61, "a:80", "200", "200", 1),
        (-60, "a:80", "200", "200", 2),
        (0, "a:80", "502", "-", 3),
        (0, "b:80", "200", "200", 4),
        (5, "-", "503", "-", 5),
        (5, "-", "000", "-", 6),
        (119, "a:80", "404", "404", 7),
        (120, "a:80", "200", "200", 8),
        (7, "c:80", "200", "200", 9),
        groups={("a:80", GROUP), ("b:80", "other"), ("-", GROUP)},
    )
    twice = parts.counters([one, one])
    start = HOUR * 60
    found = twice[Key(ELB, GROUP, HOUR)]
    assert found == {
        CounterKey(start - 60, "a:80", 200, 200): 4,
        CounterKey(start, "a:80", 502, None): 6,
        CounterKey(start + 5, None, 503, None): 10,
        CounterKey(start + 5, None, 0, None): 12,
        CounterKey(start + 119, "a:80", 404, 404): 14,
    }
    # What belongs to no group is in the window of lines that name none.
    assert set(twice[Key(ELB, "", HOUR)]) == {
        CounterKey(start + 5, None, 503, None),
        CounterKey(start + 5, None, 0, None),
        CounterKey(start + 7, "c:80", 200, 200),
    }
    assert twice[Key("app/another/1", GROUP, HOUR)] == {}
    assert {key.group for key in twice} == {"", GROUP, "other"}
    assert len(twice) == len(list(twice)) == 3 * 5


@given(
    st.lists(
        st.tuples(st.integers(-200, 200), st.sampled_from(["a", "b", "-"]), st.integers(0, 999)), max_size=30
    )
)
def test_no_count_gets_lost_in_packing(entries: list[tuple[int, str, int]]) -> None:
    counts = Counter((minute, target, f"{status:03d}") for minute, target, status in entries)
    one = counted(
        *((minute, target, status, "-", lines) for (minute, target, status), lines in counts.items()),
        groups={("a", "g"), ("b", "g")},
    )
    every = parts.counters([one])
    for hour in range(HOUR - 4, HOUR + 5):
        found = every[Key(ELB, "g", hour)]
        assert found == {
            CounterKey(HOUR * 60 + minute, None if target == "-" else target, int(status), None): lines
            for (minute, target, status), lines in counts.items()
            if hour - 1 <= (HOUR * 60 + minute) // 60 <= hour + 1
        }
