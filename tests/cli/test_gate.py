"""What lets a run of `keepalign check` pass: comments, baselines; the same exit code for every format."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.gate import repository
from tests.gate.repository import Repository

from keepalign import rules
from keepalign.cli import _options, run
from keepalign.cli.check import FORMATS
from keepalign.reports import json_v1
from keepalign.rules._rule import Outcome

STORY = Path(__file__).parents[2] / "examples" / "orders-api"
SLUG = "backend-keepalive-below-lb-idle"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The story's stack with its faults, as a repository that the check is started in."""
    root = Path(shutil.copytree(STORY / "broken", tmp_path / "repository"))
    (root / ".git").mkdir()
    monkeypatch.chdir(root)
    return root


def report(*arguments: str) -> dict[str, Any]:
    """JSON of `keepalign check .`, to the schema."""
    assert run(["check", ".", "--format", "json=report.json", *arguments]) in (0, 1)
    found: dict[str, Any] = json.loads(Path("report.json").read_bytes())
    jsonschema.validate(found, json.loads(json_v1.schema()))
    return found


def ignore(tree: Path, comment: str) -> None:
    """Puts `comment` above the KeepAliveTimeout."""
    file = tree / "httpd" / "httpd.conf"
    text = file.read_text("utf-8")
    file.write_text(text.replace("KeepAliveTimeout 5", f"{comment}\nKeepAliveTimeout 5"), "utf-8")


# Formats


@pytest.mark.parametrize("format_", FORMATS)
def test_exit_code_is_the_same_for_every_format(format_: str, tree: Path, tmp_path: Path) -> None:
    only_httpd = str(tree / "httpd" / "httpd.conf")
    cases: list[tuple[list[str], int]] = [
        ([str(STORY / "broken")], 1),
        ([str(STORY / "fixed")], 0),
        ([str(STORY / "broken"), "--exit-zero"], 0),
        ([only_httpd], 3),
        ([only_httpd, "--exit-zero"], 0),
        ([str(tmp_path / "nowhere")], 2),
        ([only_httpd, "--in-front", "aws-alb:idle_timeout=4s", "--fail-on", "high"], 0),
        ([only_httpd, "--in-front", "aws-alb:idle_timeout=4s", "--fail-on", "high", "--strict"], 1),
    ]
    for arguments, code in cases:
        assert run(["check", *arguments, "--format", f"{format_}={tmp_path}/out"]) == code, arguments


def test_all_formats_in_one_run(tree: Path) -> None:
    files = [f"--format={name}=out/{name}" for name in FORMATS]
    (tree / "out").mkdir()
    assert run(["check", ".", *files]) == 1
    for name in FORMATS:
        assert SLUG in (tree / "out" / name).read_text("utf-8") or name == "mermaid"


def test_files_are_named_from_the_root_of_the_repository(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "infra")
    assert run(["check", "..", "--format", "gitlab=../out.json"]) == 1
    paths = {entry["location"]["path"] for entry in json.loads((tree / "out.json").read_bytes())}
    assert paths == {"httpd/httpd.conf", "infra/main.tf", "infra/variables.tf", "infra/service.tf"}


def test_sarif_links_to_the_documentation_that_the_package_names(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_options, "documentation", lambda: "https://example.org/reference/causes/")
    assert run(["check", ".", "--format", "sarif=out.json"]) == 1
    (log,) = json.loads((tree / "out.json").read_bytes())["runs"]
    rule = next(rule for rule in log["tool"]["driver"]["rules"] if rule["id"] == SLUG)
    assert rule["helpUri"] == f"https://example.org/reference/causes/{SLUG}.md"
    assert "## Why it fails" in rule["help"]["markdown"]


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (["Source, https://example.org", "Documentation, https://example.org/docs/"],
         "https://example.org/docs/reference/causes/"),
        (["Source, https://example.org"], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_address_of_the_documentation_is_the_package_s(
    urls: list[str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Message()
    for url in urls:
        written["Project-URL"] = url
    monkeypatch.setattr(metadata, "metadata", {"keepalign": written}.__getitem__)
    assert _options.documentation() == address


# Comments


def test_comment_holds_a_finding_back_and_is_counted(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ignore(tree, f"# keepalign: ignore[{SLUG}] clients repeat until=2999-12-31")
    assert run(["check", "."]) == 1
    out = capsys.readouterr().out
    assert f"[{SLUG}]" not in out
    said = f"· {SLUG}, orders /reports: clients repeat (httpd/httpd.conf:32, until 2999-12-31)"
    assert said in " ".join(out.split())
    assert "5 findings (4 high, 1 medium) on 2 request paths, 1 suppressed.\n" in out
    (held,) = report()["suppressed"]
    assert held["finding"]["cause"] == SLUG
    assert held["place"] == {"file": "httpd/httpd.conf", "line": 32, "column": 1}


def test_comment_that_ended_lets_the_finding_stand(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ignore(tree, f"# keepalign: ignore[{SLUG}] clients repeat until=2026-01-31")
    assert run(["check", "."]) == 1
    out = capsys.readouterr().out
    assert f"the ignore of {SLUG} ended on 2026-01-31: the finding stands" in " ".join(out.split())
    assert "6 findings" in out


def test_fix_of_a_finding_that_is_held_back_is_not_offered(tree: Path) -> None:
    ignore(tree, f"# keepalign: ignore[{SLUG}] clients repeat")
    found = report()
    assert found["also"] == []
    assert "KeepAliveTimeout" not in json.dumps(found["findings"])


# Baselines


def test_baseline_holds_back_what_was_there(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ".", "--write-baseline", "baseline.json"]) == 0
    assert "0 findings on 2 request paths, 6 suppressed." in capsys.readouterr().out
    assert run(["check", ".", "--baseline", "baseline.json"]) == 0
    assert run(["check", ".", "--baseline", "baseline.json", "--fail-on", "low"]) == 0
    file = tree / "httpd" / "httpd.conf"
    file.write_text("# moved\n\n" + file.read_text("utf-8"), "utf-8")
    assert run(["check", ".", "--baseline", "baseline.json"]) == 0
    assert run(["check", "."]) == 1


def test_new_finding_fails_beside_a_baseline(tree: Path) -> None:
    ignore(tree, f"# keepalign: ignore[{SLUG}] clients repeat")
    assert run(["check", ".", "--write-baseline", "baseline.json"]) == 0
    assert SLUG not in Path("baseline.json").read_text("utf-8")
    file = tree / "httpd" / "httpd.conf"
    file.write_text(file.read_text("utf-8").replace("# keepalign", "# no keepalign"), "utf-8")
    found = report("--baseline", "baseline.json")
    assert [f["cause"] for f in found["findings"]] == [SLUG]
    assert run(["check", ".", "--baseline", "baseline.json"]) == 1


def test_what_is_gone_from_the_baseline_is_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ".", "--write-baseline", "baseline.json"]) == 0
    file = tree / "httpd" / "httpd.conf"
    file.write_text(file.read_text("utf-8").replace("KeepAliveTimeout 5", "KeepAliveTimeout 150"), "utf-8")
    capsys.readouterr()
    assert run(["check", ".", "--baseline", "baseline.json"]) == 0
    out = capsys.readouterr().out
    assert f"Of the baseline gone; write it again:\n  ✓ {SLUG} on httpd (httpd/httpd.conf)\n" in out
    assert "5 suppressed, 1 of the baseline gone." in out


def test_baseline_can_be_written_anew_from_the_old_one(tree: Path) -> None:
    Path("baseline.json").write_text('{"schema": 1, "findings": []}')
    arguments = ["--baseline", "baseline.json", "--write-baseline", "baseline.json"]
    assert run(["check", ".", *arguments]) == 0
    assert len(json.loads(Path("baseline.json").read_bytes())["findings"]) == 6


def test_no_baseline_is_written_of_a_tree_without_a_path(tree: Path) -> None:
    assert run(["check", "httpd/httpd.conf", "--write-baseline", "baseline.json"]) == 3
    assert not Path("baseline.json").exists()


def test_rule_that_failed_is_not_made_good_by_a_baseline(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: object, stack: object) -> list[Outcome]:
        raise RuntimeError("a fault")

    monkeypatch.setattr(rules, "RULES", (replace(rules.RULES[0], check=fails),))
    arguments = ["check", ".", "--write-baseline", "baseline.json"]
    assert run(arguments) == 0
    assert run([*arguments, "--strict"]) == 1


@pytest.mark.parametrize(("content", "said"), [("{", "is no baseline"), (None, "does not exist")])
def test_baseline_that_is_none_is_a_usage_error(
    content: str | None, said: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("baseline.json").write_text(content)
    assert run(["check", ".", "--baseline", "baseline.json"]) == 2
    assert said in capsys.readouterr().err


# Another revision


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The story's stack without its faults, committed, and the working folder in it."""
    found = repository.new(tmp_path / "fixed", "fixed")
    monkeypatch.chdir(found.top)
    return found


def test_only_what_the_base_does_not_have_fails(repo: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ".", "--base", "HEAD"]) == 0
    assert "0 new findings on 2 request paths.\n" in capsys.readouterr().out
    repo.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    assert run(["check", ".", "--base", "HEAD"]) == 1
    out = capsys.readouterr().out
    assert "  = made by: httpd/httpd.conf:35: KeepAliveTimeout of httpd: 150 s → 50 s\n" in out
    assert "1 new finding (1 high) on 2 request paths.\n" in out
    (finding,) = report("--base", "main")["findings"]
    assert finding["flipped_by"] == [
        {
            "hop": "httpd",
            "option": "KeepAliveTimeout",
            "old": "150 s",
            "new": "50 s",
            "place": {"file": "httpd/httpd.conf", "line": 35, "column": 1},
        }
    ]
    repo.commit()
    found = report("--base", "HEAD")
    assert (found["findings"], found["base"], found["unchanged"]) == ([], "HEAD", 1)
    assert run(["check", ".", "--base", "HEAD"]) == 0
    assert run(["check", "."]) == 1


def test_file_under_no_version_control_is_the_same_in_the_base(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.git("rm", "--quiet", "--cached", "httpd/httpd.conf")
    repo.git("commit", "--quiet", "--message", "out")
    repo.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    monkeypatch.chdir(repo.top / "infra")
    roots = ["../httpd/httpd.conf", "../httpd", "../app", ".", "../keepalign.toml"]
    assert run(["check", *roots]) == 1
    assert run(["check", *roots, "--base", "HEAD"]) == 0


@pytest.mark.parametrize("format_", FORMATS)
def test_edit_that_made_a_finding_is_named_in_every_format(format_: str, repo: Repository) -> None:
    repo.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    assert run(["check", ".", "--base", "HEAD", "--format", f"{format_}=out"]) == 1
    said = (repo.top / "out").read_text("utf-8").replace("\\", "")
    assert ("150 s" in said and "50 s" in said) or format_ == "mermaid"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "nowhere"], "--base nowhere: git knows no such commit here"),
        (["--base", "HEAD", "--baseline", "keepalign.toml"], "give one of them"),
        (["--base", "HEAD", "--write-baseline", "b.json"], "give one of them"),
    ],
)
def test_base_that_cannot_be_is_a_usage_error(
    arguments: list[str], said: str, repo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", ".", *arguments]) == 2
    assert said in capsys.readouterr().err
