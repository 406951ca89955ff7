"""`keepalign check` on the story's stack, and its exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from keepalign.cli import run
from keepalign.reports import json_v1

STORY = Path(__file__).parents[2] / "examples" / "orders-api"
BROKEN, FIXED = str(STORY / "broken"), str(STORY / "fixed")
SLUGS = (
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "proxy-read-below-app-timeout",
    "response-cut-by-total-timeout",
    "deregistration-below-longest-request",
    "stop-timeout-below-drain",
)


def test_broken_story_has_its_six_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", BROKEN]) == 1
    out, err = capsys.readouterr()
    assert all(out.count(f"  [{slug}] on ") == 1 for slug in SLUGS)
    assert err == ""
    for place in ("httpd/httpd.conf", "infra/variables.tf", "infra/main.tf", "keepalign.toml"):
        assert f"{BROKEN}/{place}:" in out
    assert "6 findings (5 high, 1 medium) on 2 request paths.\n" in out


def test_fixed_story_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", FIXED]) == 0
    out = capsys.readouterr().out
    assert "✗" not in out
    assert out.endswith("0 findings on 2 request paths.\n")


def test_json_of_the_story_validates_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", BROKEN, "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, json.loads(json_v1.schema()))
    assert tuple(finding["cause"] for finding in report["findings"]) == SLUGS
    for finding in report["findings"]:
        assert len({location["file"] for location in finding["locations"]}) == 2
        assert len(finding["fix"]) == 1
        assert finding["fix"][0]["edits"]


def test_formats_can_go_to_files_beside_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "check.json", tmp_path / "check.txt"
    arguments = ["--format", f"json={files[0]}", "--format", f"text={files[1]}", "--format", "text"]
    assert run(["check", BROKEN, *arguments]) == 1
    assert json.loads(files[0].read_bytes())["summary"]["high"] == 5
    assert files[1].read_text("utf-8") == capsys.readouterr().out


def test_file_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", BROKEN, "--format", f"json={tmp_path}/no/such/folder/x.json"]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_exit_zero_is_zero() -> None:
    assert run(["check", BROKEN, "--exit-zero"]) == 0


HTTPD = """\
Listen 8080
Timeout 300
KeepAliveTimeout 75
ProxyPass / http://127.0.0.1:8000/
"""


@pytest.fixture
def httpd(tmp_path: Path) -> str:
    """One httpd.conf with a low finding when it is behind a balancer: a backstop above the idle timeout."""
    (tmp_path / "httpd.conf").write_text(HTTPD)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on", "low"], 1),
        (["--fail-on", "high"], 0),
        (["--strict"], 1),
        (["--strict", "--exit-zero"], 0),
        (["--longest-silence", "90s"], 1),
        (["--longest-silence", "20s", "--fail-on", "low"], 0),
        (["--longest-request", "45s", "--fail-on", "low"], 0),
    ],
)
def test_exit_code_follows_severity_and_strictness(httpd: str, arguments: list[str], code: int) -> None:
    assert run(["check", httpd, "--in-front", "aws-alb:idle_timeout=60s", *arguments]) == code


def test_tree_without_a_request_path_does_not_look_clean(
    httpd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", httpd]) == 3
    out = capsys.readouterr().out
    assert out.startswith("Read, but on no request path:")
    assert "no two timeouts were compared" in out
    assert run(["check", httpd, "--exit-zero"]) == 0


def test_file_that_cannot_be_understood_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "httpd.conf").write_text("Listen 80\n<VirtualHost *:80>\n")
    assert run(["check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/httpd.conf:2")


def test_file_of_a_format_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "check.json"
    file.write_text("old")
    file.chmod(0o640)
    assert run(["check", BROKEN, "--format", f"json={file}"]) == 1
    assert json.loads(file.read_bytes())["schema"] == 1
    assert file.stat().st_mode & 0o777 == 0o640

    def full(descriptor: int, *arguments: object, **keywords: object) -> object:
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    written = file.read_bytes()
    monkeypatch.setattr(os, "fdopen", full)
    assert run(["check", BROKEN, "--format", f"json={file}"]) == 2
    assert file.read_bytes() == written
    assert [path.name for path in tmp_path.iterdir()] == ["check.json"]


def test_link_and_device_keep_being_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "check.json")
    assert run(["check", BROKEN, "--format", f"json={tmp_path}/link", "--format", "text=/dev/null"]) == 1
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "check.json").read_bytes())["schema"] == 1
    assert Path("/dev/null").is_char_device()
