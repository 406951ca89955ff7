from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from keepalign.errors import ReadError
from keepalign.fix.edit import overlay, unified_diff, write
from keepalign.model.source import Edit, SourceText

CONF = b"Timeout 20\nKeepAliveTimeout 5\n"


def edit(source: SourceText, start: int, end: int, text: str) -> Edit:
    return Edit(source.span(start, end), text)


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


def test_write_refuses_two_names_of_one_file_that_want_different_bytes(tmp_path: Path) -> None:
    file, link = tmp_path / "common.tf", tmp_path / "link.tf"
    file.write_bytes(CONF)
    link.symlink_to(file)
    sources = {str(path): SourceText(str(path), CONF) for path in (file, link)}
    with pytest.raises(ReadError, match="is the same file as"):
        write({str(file): b"new\n", str(link): b"newer\n"}, sources)
    assert file.read_bytes() == CONF
    write({str(file): b"new\n", str(link): b"new\n"}, sources)
    assert file.read_bytes() == b"new\n"


@pytest.mark.parametrize(
    "secret",
    [
        "DATABASE_URL=postgres://shop:hunter2@db/shop",
        '  STRIPE: "hunter2"',
        "          value: hunter2",
        '      { name = "PLAIN", value = "hunter2" },',
        "spring.datasource.password=hunter2",
        "stripe.key=hunter2",
        "ENV Release hunter2",
        '  proxy_set_header Authorization "Basic hunter2";',
        'api_token = "hunter2"',
        "  redis: redis://:hunter2@cache",
    ],
)
@pytest.mark.parametrize("place", ["above", "below", "between"])
def test_diff_shows_no_line_beside_a_change_that_may_hold_a_secret(
    secret: str, place: str, tmp_path: Path
) -> None:
    changed, plain = "keep_alive 5", "plain line"
    lines = {
        "above": [plain, plain, secret, plain, changed, plain],
        "below": [plain, changed, plain, secret, plain],
        "between": [plain, changed, plain, secret, plain, changed, plain],
    }[place]
    before = "".join(f"{line}\n" for line in lines).encode()
    after = before.replace(b"keep_alive 5", b"keep_alive 75\nmore 1")
    diff = unified_diff("a.conf", before, after)
    assert "hunter2" not in diff
    assert diff.count("@@ -") == (2 if place == "between" else 1)
    assert " plain line\n" in diff
    (tmp_path / "a.conf").write_bytes(before)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "a.conf").read_bytes() == after


def test_diff_between_two_secrets_shows_the_change_alone() -> None:
    before = b"A_KEY=hunter2\nkeep_alive 5\nA_TOKEN=hunter2\n"
    diff = unified_diff("a.conf", before, before.replace(b"5", b"75"))
    assert diff == "--- a/a.conf\n+++ b/a.conf\n@@ -2 +2 @@\n-keep_alive 5\n+keep_alive 75\n"


def test_diff_that_only_adds_between_two_secrets_names_the_line_in_front() -> None:
    before = b"A_KEY=hunter2\nA_TOKEN=hunter2\n"
    diff = unified_diff("a.conf", before, b"A_KEY=hunter2\nkeep_alive 75\nA_TOKEN=hunter2\n")
    assert diff == "--- a/a.conf\n+++ b/a.conf\n@@ -1,0 +2 @@\n+keep_alive 75\n"
