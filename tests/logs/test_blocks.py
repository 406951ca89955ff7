"""Unpacking, and blocks of whole lines."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.scanning import InMemory

from keepalign.logs import blocks as module
from keepalign.logs.blocks import LONGEST, Report, Unpacked, blocks, pieces

TEXT = b"".join(
    b"line %d with an id of %b\n" % (number, sha256(b"%d" % number).hexdigest().encode())
    for number in range(2000)
)


@pytest.fixture(params=["isal", "zlib"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(module, "_new_inflate", module._Zlib)
        monkeypatch.setattr(module, "_Fault", zlib.error)


def unpacked(data: bytes, notes: list[str] | None = None, report: Report | None = None) -> bytes:
    return b"".join(pieces(InMemory(data), "a.gz", [] if notes is None else notes, report))


@pytest.mark.usefixtures("_library")
def test_members_of_gzip_follow_each_other() -> None:
    notes: list[str] = []
    half = len(TEXT) // 2
    data = gzip.compress(TEXT[:half]) + gzip.compress(b"") + gzip.compress(TEXT[half:]) + b"\0" * 70_000
    assert unpacked(data, notes) == TEXT
    assert not notes


@dataclass
class OneByOne:
    """Opens a stream that gives a byte at a time."""

    data: bytes

    def __call__(self) -> BinaryIO:
        class Stream(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                return super().read(min(1, 1 if size is None else size))

        return Stream(self.data)


@pytest.mark.usefixtures("_library")
def test_a_stream_may_come_byte_by_byte() -> None:
    notes: list[str] = []
    data = gzip.compress(TEXT[:3000]) + gzip.compress(TEXT[3000:9000])
    assert b"".join(pieces(OneByOne(data), "a.gz", notes)) == TEXT[:9000]
    assert b"".join(pieces(OneByOne(TEXT[:500]), "a", notes)) == TEXT[:500]
    assert not notes


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("cut", [1, 5, 9, 2_000, 15_000, 60_000])
def test_gzip_that_breaks_off_keeps_what_came(cut: int) -> None:
    notes: list[str] = []
    data = gzip.compress(TEXT)
    out = unpacked(data[:-cut], notes)
    assert TEXT.startswith(out)
    assert len(out) >= len(TEXT) * max(0, len(data) - cut - 2000) // len(data)
    assert len(notes) == 1
    assert "breaks off" in notes[0]


@pytest.mark.usefixtures("_library")
def test_a_damaged_member_keeps_what_came_before_the_fault() -> None:
    """Also of the piece that holds the fault, for which the library gives nothing."""
    notes: list[str] = []
    data = bytearray(gzip.compress(TEXT))
    data[-6] ^= 0xFF  # the checksum
    assert unpacked(gzip.compress(b"first\n") + bytes(data), notes) == b"first\n" + TEXT
    assert len(notes) == 1
    assert "damaged" in notes[0]


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("size", [0, 1, 2 << 18, (2 << 18) + 1, 9 << 20])
def test_what_is_packed_tightly_comes_in_small_pieces(size: int) -> None:
    """Also where a member's output ends with a piece: what follows it is read, what is missing is told."""
    notes: list[str] = []
    data = gzip.compress(b"\n" * size)
    found = list(pieces(InMemory(data + gzip.compress(TEXT)), "a.gz", notes))
    assert b"".join(found) == b"\n" * size + TEXT
    assert max(map(len, found)) <= 1 << 18
    assert not notes
    assert TEXT.startswith(unpacked(data + gzip.compress(TEXT)[:-1], notes)[size:])
    assert len(notes) == 1


@pytest.mark.usefixtures("_library")
def test_damage_behind_much_that_was_packed_tightly_costs_nothing_before_it() -> None:
    """The piece that holds the fault was read long before, and gave many pieces since."""
    notes: list[str] = []
    data = bytearray(gzip.compress(b"\n" * (4 << 20) + TEXT))
    data[-6] ^= 0xFF
    assert unpacked(bytes(data), notes) == b"\n" * (4 << 20) + TEXT
    assert len(notes) == 1


@given(at=st.integers(0, 1 << 20), flip=st.integers(1, 255))
def test_damage_anywhere_raises_nothing_and_is_told_where_it_shows(at: int, flip: int) -> None:
    notes: list[str] = []
    data = bytearray(gzip.compress(TEXT, mtime=0))
    at = 2 + at % (len(data) - 2)
    data[at] ^= flip
    out = unpacked(bytes(data), notes)
    assert notes or out == TEXT


def test_what_follows_gzip_is_told() -> None:
    notes: list[str] = []
    assert unpacked(gzip.compress(b"a\n") + b"plain\n", notes) == b"a\n"
    assert len(notes) == 1
    assert "no gzip" in notes[0]


@pytest.mark.parametrize(
    "data", [b"", b"\x1f", b"\n", b"plain\n", TEXT], ids=["none", "half", "end", "line", "log"]
)
def test_plain_bytes_stay_as_they_are(data: bytes) -> None:
    assert unpacked(data) == data


def test_all_stored_bytes_are_reported() -> None:
    told: list[int] = []
    data = TEXT * 10
    assert unpacked(data, report=told.append) == data
    assert sum(told) == len(data)
    assert len(told) > 3
    told.clear()
    unpacked(gzip.compress(TEXT), report=told.append)
    assert sum(told) == len(gzip.compress(TEXT))


@given(data=st.binary().map(lambda data: data.replace(b"\x01", b"\n")), cuts=st.lists(st.integers(0, 100)))
def test_blocks_are_the_same_bytes_however_they_come(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parts = [data[a:b] for a, b in pairwise(places)]
    found = list(blocks(part for part in parts if part))
    assert b"".join(found) == data
    assert all(block.endswith(b"\n") for block in found[:-1])
    assert all(found)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("size", [65_536, 3 << 20, 8 << 20])
def test_a_line_without_end_is_never_held(size: int, end: bytes) -> None:
    data = b"a\n" + b"x" * (4 * LONGEST) + b"\nb" + end
    found = list(blocks(data[at : at + size] for at in range(0, len(data), size)))
    assert max(map(len, found)) <= LONGEST + 2 + size
    lines = b"".join(found).split(b"\n")
    assert lines[0] == b"a"
    assert len(lines[1]) > LONGEST
    assert lines[2] == b"b"


def test_unpacked_reads_as_a_file() -> None:
    file = io.BufferedReader(Unpacked(iter([b"ab", b"c\nd", b"e"])))
    assert file.readline() == b"abc\n"
    assert file.read() == b"de"
    assert file.read() == b""
