"""What is new since a revision, and the edits that made it so."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from tests.gate import repository
from tests.gate.repository import Repository

from keepalign import rules
from keepalign.errors import UsageError
from keepalign.gate import Gated, flips, gated
from keepalign.join import load_stack
from keepalign.model.fingerprint import Names

SLUG = "backend-keepalive-below-lb-idle"


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The story's stack without its faults, and the working folder in it."""
    repo = repository.new(tmp_path / "repo", "fixed")
    monkeypatch.chdir(repo.top)
    return repo


def since(rev: str = "HEAD", *roots: str) -> Gated:
    """The working tree here against `rev`."""
    here = os.getcwd()
    names = Names(here, here)
    loaded = load_stack(roots or (".",))
    known = {rule.slug for rule in rules.RULES}
    result = rules.check(loaded.stack)
    now = gated(loaded.stack, result, loaded.sources, today=date(2026, 11, 22), known=known, name=names)
    return flips.since(flips.read_base(rev, loaded, names), now, loaded.stack)


def made_by(found: Gated) -> dict[str, list[str]]:
    return {f.cause: [flip.text for flip in found.gate.flips[f]] for f in found.result.findings}


def test_nothing_changed_is_nothing_new(fixed: Repository) -> None:
    assert since().result.findings == ()


def test_edit_of_the_receiving_side_is_named(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    assert made_by(since()) == {SLUG: ["httpd/httpd.conf:35: KeepAliveTimeout of httpd: 150 s → 50 s"]}


def test_edit_of_the_sending_side_is_named_where_it_is_written(fixed: Repository) -> None:
    fixed.edit("infra/variables.tf", "default     = 120", "default     = 200")
    edits = made_by(since())[SLUG]
    assert edits == ["infra/variables.tf:32: idle_timeout of aws_lb.this: 120 s → 200 s"]


def test_removed_line_is_named_by_the_default_that_holds_then(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "")
    assert made_by(since()) == {SLUG: ["KeepAliveTimeout of httpd: 150 s → 5 s by default"]}


def test_declaration_is_named_that_asks_for_more(fixed: Repository) -> None:
    fixed.edit("keepalign.toml", 'longest_silence = "90s"', 'longest_silence = "130s"')
    fixed.edit("keepalign.toml", 'longest_request = "90s"', 'longest_request = "130s"')
    edits = made_by(since())["lb-idle-below-response-time"]
    assert "keepalign.toml:15: longest_silence of /reports: 90 s → 130 s" in edits


def test_moved_lines_and_a_renamed_folder_elsewhere_are_no_news(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    file = fixed.top / "httpd" / "httpd.conf"
    file.write_text("# moved\n\n" + file.read_text("utf-8").replace("Timeout 50", "Timeout 40"), "utf-8")
    found = since()
    assert found.result.findings == ()
    assert found.gate.unchanged == 1


def test_cure_is_told_as_gone(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 50", "KeepAliveTimeout 150")
    (gone,) = since().gate.gone
    assert (gone.cause, gone.hop, gone.count) == (SLUG, "httpd", 1)


def test_finding_that_a_comment_holds_back_now_is_neither_new_nor_gone(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    comment = f"# keepalign: ignore[{SLUG}] clients repeat"
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 50", f"{comment}\nKeepAliveTimeout 50")
    found = since()
    assert (found.result.findings, found.gate.gone, found.gate.unchanged) == ((), (), 0)
    assert len(found.gate.suppressed) == 1


def test_file_that_was_deleted_since_counts_in_the_base(fixed: Repository) -> None:
    kept = fixed.top / "httpd" / "httpd.conf"
    shutil.copy(kept, fixed.top / "copy")
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    kept.rename(fixed.top / "httpd" / "apache2.conf")
    found = since()
    assert [gone.cause for gone in found.gate.gone] == [SLUG]


def test_path_that_was_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = repository.new(tmp_path / "empty")
    shutil.copytree(repository.STORY / "broken", empty.top, dirs_exist_ok=True)
    monkeypatch.chdir(empty.top)
    found = since()
    assert len(found.result.findings) == 6
    assert made_by(found)[SLUG] == [
        "infra/main.tf:39: request path of orders /reports: new, aws_lb.this → httpd → reports"
    ]


def test_base_that_cannot_be_read_is_told_with_its_place(fixed: Repository) -> None:
    broken = "<VirtualHost *:80>\n"
    file = fixed.top / "httpd" / "httpd.conf"
    text = file.read_text("utf-8")
    file.write_text(broken + text, "utf-8")
    fixed.commit()
    file.write_text(text, "utf-8")
    with pytest.raises(
        UsageError, match=r"^--base HEAD cannot be checked: httpd/httpd\.conf was not used: .* \(line \d+\)"
    ) as raised:
        since()
    assert raised.value.hint == "check without --base"


def test_template_that_is_unreadable_in_both_does_not_keep_them_from_being_compared(
    fixed: Repository,
) -> None:
    template = fixed.top / "template" / "httpd.conf"
    template.parent.mkdir()
    template.write_text("<VirtualHost *:80>\n", "utf-8")
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    assert not since().result.findings


def test_fix_of_what_is_not_new_is_not_wanted(fixed: Repository) -> None:
    fixed.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    fixed.commit()
    assert [f.cause for f in since().aside] == [SLUG]
