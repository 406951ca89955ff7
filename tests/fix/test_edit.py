from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import KeepalignError, ReadError
from keepalign.fix.edit import apply, overlay, unified_diff, write
from keepalign.model.checked import Edit
from keepalign.model.source import SourceText

CONF = b"Timeout 20\nKeepAliveTimeout 5\n"


def edit(source: SourceText, start: int, end: int, text: str) -> Edit:
    return Edit(source.span(start, end), text)


def test_apply_changes_only_the_spans() -> None:
    source = SourceText("httpd.conf", CONF)
    edits = [edit(source, 28, 29, "150"), edit(source, 8, 10, "30")]
    assert apply(CONF, edits) == b"Timeout 30\nKeepAliveTimeout 150\n"


def test_apply_keeps_the_order_of_insertions_at_one_place_and_makes_equal_edits_once() -> None:
    source = SourceText("run.sh", b"exec gunicorn app\n")
    first, second = edit(source, 13, 13, " --timeout 50"), edit(source, 13, 13, " --keep-alive 75")
    assert apply(source.data, [first, second, first]) == b"exec gunicorn --timeout 50 --keep-alive 75 app\n"
    assert apply(source.data, [second, first]) == b"exec gunicorn --keep-alive 75 --timeout 50 app\n"


def test_apply_refuses_two_values_for_the_same_bytes() -> None:
    source = SourceText("httpd.conf", CONF)
    with pytest.raises(KeepalignError, match="two changes want the same bytes"):
        apply(CONF, [edit(source, 8, 10, "30"), edit(source, 8, 10, "60")])


@given(
    data=st.binary(max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4),
    text=st.text(max_size=5),
)
def test_apply_keeps_every_byte_outside_the_spans(
    data: bytes, cuts: list[tuple[int, int]], text: str
) -> None:
    source = SourceText("f", data)
    points = sorted({min(point, len(data)) for cut in cuts for point in cut})
    pairs = list(zip(points[::2], points[1::2], strict=False))
    after = apply(data, [edit(source, start, end, text) for start, end in pairs])
    pieces, done = [], 0
    for start, end in pairs:
        pieces += [data[done:start], text.encode()]
        done = end
    assert after == b"".join([*pieces, data[done:]])


def test_overlay_leaves_out_files_that_stay_as_they_are() -> None:
    source = SourceText("httpd.conf", CONF)
    assert overlay([edit(source, 8, 10, "20")], {"httpd.conf": source}) == {}


@pytest.mark.parametrize(
    "before",
    [CONF, CONF.rstrip(b"\n"), CONF.replace(b"\n", b"\r\n"), b"# caf\xe9\n" + CONF],
    ids=["plain", "no line end", "crlf", "latin-1"],
)
def test_unified_diff_is_taken_by_git_apply(before: bytes, tmp_path: Path) -> None:
    after = before.replace(b"Timeout 5", b"Timeout 150")
    (tmp_path / "httpd").mkdir()
    file = tmp_path / "httpd" / "httpd.conf"
    file.write_bytes(before)
    diff = unified_diff("httpd/httpd.conf", before, after)
    assert diff.startswith("--- a/httpd/httpd.conf\n+++ b/httpd/httpd.conf\n@@")
    subprocess.run(
        ["git", "apply", "-"],
        input=diff.encode("utf-8", "surrogateescape"),
        cwd=tmp_path,
        check=True,
        timeout=20,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert file.read_bytes() == after


def test_unified_diff_of_equal_bytes_is_empty() -> None:
    assert unified_diff("f", CONF, CONF) == ""


def test_write_replaces_the_file_and_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    file, link = tmp_path / "entrypoint.sh", tmp_path / "link.sh"
    file.write_bytes(CONF)
    file.chmod(0o755)
    link.symlink_to(file)
    write({str(link): b"new\n"}, {str(link): SourceText(str(link), CONF)})
    assert file.read_bytes() == b"new\n"
    assert file.stat().st_mode & 0o777 == 0o755
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["entrypoint.sh", "link.sh"]


def test_write_refuses_a_file_that_changed_and_touches_no_other(tmp_path: Path) -> None:
    first, second = tmp_path / "a.conf", tmp_path / "b.conf"
    first.write_bytes(CONF)
    second.write_bytes(CONF + b"# edited meanwhile\n")
    sources = {str(path): SourceText(str(path), CONF) for path in (first, second)}
    with pytest.raises(ReadError, match="changed while keepalign was at work"):
        write({str(first): b"new\n", str(second): b"new\n"}, sources)
    assert first.read_bytes() == CONF


def test_write_says_when_a_file_is_gone(tmp_path: Path) -> None:
    file = str(tmp_path / "gone.conf")
    with pytest.raises(ReadError, match="cannot be read again"):
        write({file: b"new\n"}, {file: SourceText(file, CONF)})
