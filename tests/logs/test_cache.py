"""What was read once is not read again, and nothing but that is believed."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from tests.logs.scanning import ERROR, FINE, holding, logs

from keepalign.logs import cache as module
from keepalign.logs.cache import Cache, default_folder
from keepalign.logs.objects import Kind, LogObject, Scanned
from keepalign.logs.scan import scan

LOG = b"\n".join([FINE, ERROR, b"", b"no line", ERROR])


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def kept(cache: Cache, obj: LogObject, tmp_path: Path) -> Scanned:
    """The scan of an object, which the cache knows from now on; its part file is gone afterwards."""
    found = scan(obj, tmp_path / "part", kind=Kind.ALB)
    cache.put(obj, found)
    if found.part:
        Path(found.part).unlink()
    return found


def lines(scanned: Scanned) -> list[bytes]:
    return gzip.decompress(Path(scanned.part).read_bytes()).splitlines() if scanned.part else []


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_a_second_run_gets_what_the_first_found(cache: Cache, tmp_path: Path) -> None:
    obj = holding(LOG)
    assert cache.get(obj) is None
    first = kept(cache, obj, tmp_path)
    found = Cache(tmp_path / "cache").get(obj)
    assert found is not None
    assert lines(found) == [b"2 " + ERROR, b"5 " + ERROR]
    assert found == replace(first, cached=True, part=found.part)
    assert first.rejected


@given(data=logs)
def test_any_scan_comes_back_as_it_was(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = Cache(folder / "cache")
    first = kept(cache, holding(data), folder)
    found = cache.get(holding(data))
    assert found is not None
    assert found == replace(first, cached=True, part=found.part)
    assert bool(found.part) == bool(found.errors)


@pytest.mark.parametrize(
    "other",
    [holding(LOG, tag="2"), holding(LOG, name="logs/b.log"), holding(LOG, tag="")],
    ids=["tag", "name", "none"],
)
def test_another_object_is_another_entry(other: LogObject, cache: Cache, tmp_path: Path) -> None:
    kept(cache, holding(LOG), tmp_path)
    assert cache.get(other) is None


def test_without_a_tag_nothing_is_kept(cache: Cache, tmp_path: Path) -> None:
    kept(cache, holding(LOG, tag=""), tmp_path)
    assert files(tmp_path) == []
    assert cache.table(holding(LOG, tag="")) is None


def test_a_newer_reader_reads_again(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(cache, holding(LOG), tmp_path)
    monkeypatch.setattr(module, "_version", lambda: "another")
    assert cache.get(holding(LOG)) is None


def test_one_file_is_one_entry_by_whatever_way_it_is_named(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept(cache, holding(LOG + b"\n\xff", name="a.log"), tmp_path)
    found = cache.get(holding(LOG, name=str(tmp_path / "a.log")))
    assert found is not None
    assert found.name == str(tmp_path / "a.log")
    assert {one.file for one in found.rejected} == {found.name}


def test_notes_name_the_object_as_it_is_named_now(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = gzip.compress(LOG)[:-3]
    first = kept(cache, holding(broken, name="a.gz"), tmp_path)
    found = cache.get(holding(broken, name=f"{tmp_path}/a.gz"))
    assert found is not None
    assert found.notes == [f"{tmp_path}/{first.notes[0]}"]


@pytest.mark.parametrize("ending", ["scan", "part"])
def test_a_damaged_entry_is_no_entry(ending: str, cache: Cache, tmp_path: Path) -> None:
    obj = holding(LOG)
    kept(cache, obj, tmp_path)
    (path,) = [path for path in files(tmp_path) if path.suffix == f".{ending}"]
    whole = path.read_bytes()
    for at in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.get(obj) is None
        path.write_bytes(whole[:at])
        assert cache.get(obj) is None
    path.unlink()
    assert cache.get(obj) is None
    kept(cache, obj, tmp_path)
    assert cache.get(obj) is not None


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    objects = [holding(LOG * 40, name=f"s3://b/{n}") for n in range(6)]
    cache = Cache(tmp_path / "cache")
    for obj in objects[:5]:
        kept(cache, obj, tmp_path)
    size = sum(path.stat().st_size for path in files(tmp_path))
    for age, obj in enumerate(objects[:5]):
        place = cache._place(obj)
        assert place is not None
        for path in files(tmp_path):
            if path.stem == place.name:
                os.utime(path, ns=(age, age))
    later = Cache(tmp_path / "cache", most_bytes=size)
    assert later.get(objects[0]) is not None
    kept(later, objects[5], tmp_path)
    known = [Cache(tmp_path / "cache").get(obj) is not None for obj in objects]
    assert known[:2] == [True, False]
    assert known[5]
    assert sum(path.stat().st_size for path in files(tmp_path)) <= size


def test_what_another_run_may_be_using_stays(tmp_path: Path) -> None:
    theirs, ours = Cache(tmp_path / "cache"), Cache(tmp_path / "cache", most_bytes=1)
    old, read, new = (holding(LOG, name=f"s3://b/{n}") for n in range(3))
    for obj in (old, read):
        kept(theirs, obj, tmp_path)
    for path in files(tmp_path):
        os.utime(path, (0, 0))
    found = theirs.get(read)
    kept(ours, new, tmp_path)
    assert found is not None
    assert Path(found.part).exists()
    assert theirs.get(old) is None


def test_entries_of_this_run_stay_whatever_the_limit(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", most_bytes=1)
    for name in ("s3://b/1", "s3://b/2"):
        kept(cache, holding(LOG, name=name), tmp_path)
    assert cache.get(holding(LOG, name="s3://b/1")) is not None


def test_no_room_or_permission_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file")
    kept(cache, holding(LOG), tmp_path)
    assert cache.get(holding(LOG)) is None


def test_only_the_owner_may_look_in(cache: Cache, tmp_path: Path) -> None:
    kept(cache, holding(LOG), tmp_path)
    assert [path.stat().st_mode & 0o077 for path in files(tmp_path)] == [0, 0]
    folders = [path for path in (tmp_path / "cache").rglob("*") if path.is_dir()]
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "cache", *folders)] == [0, 0, 0]


def test_no_entry_is_ever_seen_half(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(source: str, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(shutil, "copyfile", fails)
    kept(cache, holding(LOG), tmp_path)
    assert files(tmp_path) == []


def test_results_of_the_cache_are_not_put_back(cache: Cache, tmp_path: Path) -> None:
    kept(cache, holding(LOG), tmp_path)
    found = cache.get(holding(LOG))
    assert found is not None
    before = [(path, path.stat().st_ino) for path in files(tmp_path)]
    cache.put(holding(LOG), found)
    assert [(path, path.stat().st_ino) for path in files(tmp_path)] == before


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"KEEPALIGN_CACHE": "here", "XDG_CACHE_HOME": "/c"}, Path("here")),
        ({"KEEPALIGN_CACHE": "", "XDG_CACHE_HOME": "/c"}, Path("/c/keepalign")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache" / "keepalign"),
        ({}, Path.home() / ".cache" / "keepalign"),
    ],
)
def test_folder_is_the_users(environment: dict[str, str], folder: Path) -> None:
    assert default_folder(environment) == folder


def test_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's, whose number is in no list of users."""

    def unknown(_: str) -> str:
        return "~"

    monkeypatch.setattr(os.path, "expanduser", unknown)
    assert default_folder({}) is None
    assert default_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/keepalign")
