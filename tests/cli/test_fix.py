"""`keepalign fix` on the story's stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from keepalign.cli import run

BROKEN = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the broken stack, in the working directory as "stack"."""
    shutil.copytree(BROKEN, tmp_path / "stack")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stack"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_fix_prints_a_diff_and_changes_nothing(stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(stack)
    assert run(["fix", "stack"]) == 0
    out, err = capfd.readouterr()
    changed = [line[1:].strip() for line in out.splitlines() if line.startswith("+") and line[1] != "+"]
    assert changed == [
        "Timeout 30",
        "KeepAliveTimeout 150",
        "deregistration_delay = 120",
        'api_command     = ["--bind", ":8000", "--workers", "32", "--timeout", "50"]',
        "default     = 120",
        "default = 120",
    ]
    assert "with these values the check finds nothing" in err
    assert contents(stack) == before


def test_written_fix_is_what_the_diff_says_and_checks_clean(
    stack: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(stack, stack.parent / "other" / "stack")
    assert run(["fix", "stack"]) == 0
    diff = capfd.readouterr().out
    subprocess.run(
        ["git", "apply", "-"], input=diff.encode(), cwd=stack.parent / "other", check=True, timeout=20
    )
    assert run(["fix", "--write", "stack"]) == 0
    assert "Changed 6 settings" in capfd.readouterr().err
    assert contents(stack) == contents(stack.parent / "other" / "stack")
    assert run(["check", "stack"]) == 0
    assert run(["fix", "stack"]) == 0
    assert capfd.readouterr().err == "nothing to fix\n"


def test_fix_says_what_is_left_to_people(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "httpd.conf").write_text(
        "Listen 80\nKeepAliveTimeout 5\nProxyPass / http://127.0.0.1:8000/\n"
    )
    arguments = ["--in-front", "aws-alb:idle_timeout=60s", "--longest-silence", "90s"]
    assert run(["fix", "--write", str(tmp_path), *arguments]) == 1
    err = " ".join(capfd.readouterr().err.split())
    assert "! by hand: set idle_timeout of aws-alb to 120 s (--in-front aws-alb:idle_timeout=60s;" in err
    assert "KeepAliveTimeout 150\n" in (tmp_path / "httpd.conf").read_text()


def test_request_that_no_value_can_save_is_told_with_the_reason_and_the_rest_is_cured(
    stack: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    toml = stack / "keepalign.toml"
    toml.write_text(toml.read_text().replace('"90s"', '"5000s"'))
    assert run(["fix", "--write", "stack"]) == 1
    out, err = capfd.readouterr()
    told = " ".join(err.split())
    assert "takes at most 4000 s; shorten the request" in told
    assert "+KeepAliveTimeout 90" in out
    assert "KeepAliveTimeout 90\n" in (stack / "httpd" / "httpd.conf").read_text()


def test_unsafe_edits_are_written_only_when_asked_for(stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    conf = stack / "httpd" / "httpd.conf"
    conf.write_text(conf.read_text().replace("mpm_event_module", "mpm_prefork_module"))
    before = contents(stack)
    assert run(["fix", "--write", "stack"]) == 1
    err = " ".join(capfd.readouterr().err.split())
    assert "unsafe: each idle connection holds a worker of httpd" in err
    assert "KeepAliveTimeout of httpd: an unsafe edit, and --unsafe was not given" in err
    assert contents(stack) == before
    run(["fix", "--write", "--unsafe", "stack"])
    assert contents(stack) != before


def test_safe_order_of_the_roll_out_is_told(stack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fix", "stack"]) == 0
    err = capfd.readouterr().err
    order = [
        err.index(text) for text in ("  1. Change the balancer first", "  2. Deploy", "  3. Then change")
    ]
    assert order == sorted(order)
