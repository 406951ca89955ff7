"""Standard input and files as lines."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from tests.logs.lines import line

from keepalign.errors import ReadError
from keepalign.logs.paste import Reading
from keepalign.logs.sources import read_file, read_stream

ONE = line("0.001 0.000 -1 502 -").encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [ONE * 3, gzip.compress(ONE * 3), gzip.compress(ONE) + gzip.compress(ONE * 2)],
    ids=["plain", "packed", "two members"],
)
def test_stream_is_read_plain_or_packed(data: bytes) -> None:
    reading = Reading()
    read_stream(io.BytesIO(data), name="-", into=reading)
    assert (len(reading.rows), reading.lines, reading.notes) == (3, 3, [])
    assert [row.line for row in reading.rows] == [1, 2, 3]


@pytest.mark.parametrize("cut", [3, 12, 40])
def test_broken_gzip_is_noted_and_never_raises(cut: int) -> None:
    reading = Reading()
    read_stream(io.BytesIO(gzip.compress(ONE * 3)[:-cut] + b"\x00" * (cut % 2)), name="x.gz", into=reading)
    (note,) = reading.notes
    assert note.startswith("x.gz: the gzip stream breaks off")


def test_several_files_are_one_reading(tmp_path: Path) -> None:
    reading = Reading()
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(ONE)
        read_file(str(tmp_path / name), reading)
    assert [Path(row.file).name for row in reading.rows] == ["a.log", "b.log"]


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="Is a directory"):
        read_file(str(tmp_path), Reading())
