"""Files of a revision: what was there then, byte for byte, and nothing of the working tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.gate import repository
from tests.gate.repository import Repository

from keepalign.errors import UsageError
from keepalign.gate import revision
from keepalign.gate.revision import extract


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository.new(tmp_path / "repo")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def extracted(
    repo: Repository, into: Path, *roots: str, rev: str = "HEAD"
) -> tuple[list[str], dict[str, bytes]]:
    into.mkdir()
    found = extract(rev, str(repo.top), roots or (str(repo.top),), into)
    return found, files(into)


def test_files_are_those_of_the_commit_whatever_happened_since(repo: Repository, tmp_path: Path) -> None:
    awkward = "with blank\nand \N{GREEK SMALL LETTER ALPHA}.conf"
    (repo.top / "deep" / "er").mkdir(parents=True)
    (repo.top / "deep" / "er" / awkward).write_bytes(b"\xff\0\r\n")
    (repo.top / "empty.conf").write_bytes(b"")
    (repo.top / "kept.conf").write_bytes(b"old")
    then = repo.commit()
    (repo.top / "kept.conf").write_bytes(b"new")
    (repo.top / "empty.conf").unlink()
    (repo.top / "added.conf").write_bytes(b"added")
    repo.commit()
    (repo.top / "untracked.conf").write_bytes(b"untracked")
    before = files(repo.top)
    roots, found = extracted(repo, tmp_path / "then", rev=then)
    assert roots == [str(tmp_path / "then")]
    assert found == {f"deep/er/{awkward}": b"\xff\0\r\n", "empty.conf": b"", "kept.conf": b"old"}
    assert files(repo.top) == before


def test_roots_keep_their_places_and_those_that_were_not_there_are_left_out(
    repo: Repository, tmp_path: Path
) -> None:
    for name in ("app", "infra", "other", "app-2"):
        (repo.top / name).mkdir()
        (repo.top / name / "a.tf").write_text(name)
    repo.commit()
    (repo.top / "later").mkdir()
    roots = [str(repo.top / name) for name in ("infra", "later", "app/a.tf")] + ["-", str(tmp_path)]
    there = tmp_path / "there"
    found, written = extracted(repo, there, *roots)
    assert found == [str(there / "infra"), str(there / "app" / "a.tf"), "-", str(tmp_path)]
    assert written == {"infra/a.tf": b"infra", "app/a.tf": b"app"}


def test_file_under_no_version_control_stands_for_itself(repo: Repository, tmp_path: Path) -> None:
    # Taken for a pattern, its name would fit the other file.
    made, added = repo.top / "added*", repo.top / "added.conf"
    for file in (made, added):
        file.write_text("{}")
    repo.git("add", "added.conf")
    found, written = extracted(repo, tmp_path / "there", str(made), str(added))
    assert (found, written) == ([str(made)], {})


def test_root_with_signs_of_a_pattern_is_taken_by_its_name(repo: Repository, tmp_path: Path) -> None:
    for name in ("a*", "ab"):
        (repo.top / name).mkdir()
        (repo.top / name / "x.tf").write_text(name)
    repo.commit()
    _, written = extracted(repo, tmp_path / "there", str(repo.top / "a*"))
    assert written == {"a*/x.tf": b"a*"}


def test_links_lead_to_the_files_of_the_commit_or_are_left_out(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (repo.top / "conf").mkdir()
    (repo.top / "real.conf").write_text("real")
    for name, target in (
        ("conf/inside", "../real.conf"),
        ("conf/outside", "../../secret"),
        ("conf/absolute", str(tmp_path / "secret")),
        ("conf/back", "../../repo/real.conf"),
    ):
        os.symlink(target, repo.top / name)
    repo.commit()
    _, written = extracted(repo, tmp_path / "there")
    assert written == {"real.conf": b"real", "conf/inside": b"real"}


def test_contents_are_asked_for_in_pieces(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision, "_BATCH", 10)
    wanted = {f"{n}.tf": bytes([n]) * n for n in range(1, 14)}
    for name, data in wanted.items():
        (repo.top / name).write_bytes(data)
    repo.commit()
    assert extracted(repo, tmp_path / "there")[1] == wanted


def test_large_file_is_left_out_unless_it_was_named(repo: Repository, tmp_path: Path) -> None:
    (repo.top / "large.json").write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    repo.commit()
    assert extracted(repo, tmp_path / "a")[1] == {}
    assert list(extracted(repo, tmp_path / "b", str(repo.top / "large.json"))[1]) == ["large.json"]


@pytest.mark.parametrize("rev", ["no-such-branch", "--output=x", "", "HEAD:file", "0" * 40])
def test_revision_that_is_no_commit_is_a_usage_error(rev: str, repo: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        extracted(repo, tmp_path / "there", rev=rev)
    assert str(raised.value).startswith(f"--base {rev}: git knows no such commit here")
    assert "fetch-depth: 0" in raised.value.hint
    assert files(tmp_path / "there") == {}


def test_folder_without_a_repository_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(UsageError, match="is in no git repository"):
        extracted(Repository(tmp_path / "plain"), tmp_path / "there")


def test_missing_git_is_a_usage_error(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs git, which cannot be run"):
        extracted(repo, tmp_path / "there")


def test_nothing_of_the_repository_is_executed(repo: Repository, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    hook.chmod(0o755)
    (repo.top / ".gitattributes").write_text("*.tf filter=f diff=f\n")
    (repo.top / "a.tf").write_text("a")
    repo.commit()
    for name in ("core.fsmonitor", "filter.f.smudge", "filter.f.clean", "diff.f.textconv", "diff.f.command"):
        repo.git("config", name, str(hook))
    _, written = extracted(repo, tmp_path / "there")
    assert written["a.tf"] == b"a"
    assert not (tmp_path / "executed").exists()


def test_content_that_a_partial_clone_lacks_is_not_fetched(repo: Repository, tmp_path: Path) -> None:
    (repo.top / "a.tf").write_text("a")
    repo.commit()
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        repo.git("config", name, "true")
    clone = Repository(tmp_path / "clone")
    clone.top.mkdir()
    clone.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{repo.top}", ".")
    with pytest.raises(UsageError, match="this clone lacks the contents of that commit") as raised:
        extracted(clone, tmp_path / "there", str(clone.top))
    assert "--refetch" in raised.value.hint
