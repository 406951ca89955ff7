"""Standard input and files as lines."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest
from tests.logs.lines import line

from keepalign.errors import ReadError
from keepalign.logs.objects import Skipped
from keepalign.logs.paste import Reading
from keepalign.logs.sources import kind_of, local, read_file, read_stream

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


def test_glob_follows_no_links_that_lead_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them are 2 to the power of 40 ways through a folder."""
    for name in ("a.log", "b/c.log", "b/d/e.log", ".hidden/f.log"):
        (tmp_path / "logs" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "logs" / name).write_bytes(ONE)
    for name in ("x", "y", "b/up"):
        (tmp_path / "logs" / name).symlink_to("..")
    monkeypatch.chdir(tmp_path)

    def found(pattern: str) -> list[str]:
        return [one.name for one in local([pattern]).objects]

    all_of_them = ["logs/a.log", "logs/b/c.log", "logs/b/d/e.log"]
    assert found("logs/**/*.log") == found("**/*.log") == found("**/logs/**/*.log") == all_of_them
    assert found("l*s/**/d/*.log") == ["logs/b/d/e.log"]
    assert found(f"{tmp_path}/**/c.log") == [f"{tmp_path}/logs/b/c.log"]
    assert found("logs/b/**") == [*all_of_them[1:], "logs/b/up/a.log"]  # the link itself fits


def test_folder_that_cannot_be_listed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the superuser, whom no permission stops."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.log").write_bytes(ONE)
    listed = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert local([str(tmp_path)]).skipped == [Skipped(f"{tmp_path}/closed", "Permission denied")]
    with pytest.raises(ReadError, match="closed: Permission denied"):
        local([f"{tmp_path}/closed"])


@pytest.mark.parametrize("name", ["a" * 5_000, "a/" * 5_000, ""])
def test_name_that_no_file_can_have_is_an_error_of_the_name(name: str) -> None:
    with pytest.raises(ReadError):
        kind_of(local([name]).objects[0])
