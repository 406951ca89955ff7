"""The GitHub Action and the pre-commit hooks, as far as they run without GitHub and pre-commit."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.gate import repository

from keepalign.cli import run

ROOT = Path(__file__).parents[1]
STORY = ROOT / "examples" / "orders-api"
DEFAULTS = {"PATHS": ".", "BASE": "", "BASELINE": "", "FAIL_ON": "medium", "STRICT": "false", "ARGUMENTS": ""}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step ended: its exit code, what it printed, its outputs, its summary."""

    code: int
    printed: str
    outputs: dict[str, str]
    summary: str


def step(temp: Path, folder: Path, **inputs: str) -> Ran:
    """The last step of the action, in `folder`."""
    temp.mkdir(exist_ok=True)
    command = temp / "keepalign"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m keepalign "$@"\n')
    command.chmod(0o755)
    output, summary = temp / "output", temp / "summary"
    for file in (output, summary):
        file.write_text("")
    environment = os.environ | {
        "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "KEEPALIGN": str(command),
        **{f"INPUT_{name}": value for name, value in (DEFAULTS | inputs).items()},
    }
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "action.sh")],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Ran(done.returncode, done.stdout, outputs, summary.read_text("utf-8"))


def test_findings_are_annotated_reported_and_fail_the_step(tmp_path: Path) -> None:
    ran = step(tmp_path, STORY / "broken")
    assert (ran.code, ran.outputs["exit-code"]) == (1, "1")
    assert ran.printed.startswith("::error file=")
    assert ran.summary.startswith("<!-- keepalign check -->\n### keepalign: 6 findings")
    assert Path(ran.outputs["markdown"]).read_text("utf-8") == ran.summary
    assert json.loads(Path(ran.outputs["sarif"]).read_bytes())["version"] == "2.1.0"


def test_clean_stack_passes(tmp_path: Path) -> None:
    ran = step(tmp_path, STORY / "fixed")
    assert (ran.code, ran.outputs["exit-code"]) == (0, "0")
    assert ran.printed == "keepalign: 0 findings on 2 request paths.\n"


def test_failed_check_has_no_report_not_even_that_of_an_earlier_step(tmp_path: Path) -> None:
    step(tmp_path, STORY / "fixed")
    ran = step(tmp_path, STORY / "fixed", PATHS="no-such-folder")
    assert (ran.code, ran.outputs, ran.summary) == (2, {"exit-code": "2"}, "")


def test_inputs_reach_the_check(tmp_path: Path) -> None:
    repo = repository.new(tmp_path / "repo", "fixed")
    repo.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    temp = tmp_path / "temp"
    assert step(temp, repo.top, BASE="HEAD", PATHS=".").printed.endswith(
        "1 new finding (1 high) on 2 request paths.\n"
    )
    assert step(temp, repo.top, ARGUMENTS="--exit-zero").code == 0
    assert step(temp, repo.top, PATHS="httpd\n\napp\ninfra\nkeepalign.toml\n").code == 1
    assert step(temp, repo.top, BASELINE="no-such-file").code == 2
    assert step(temp, repo.top, FAIL_ON="never").code == 2


def test_nothing_of_the_inputs_is_evaluated(tmp_path: Path) -> None:
    evil = f"$(touch {tmp_path}/evil) `touch {tmp_path}/evil`; touch {tmp_path}/evil"
    temp = tmp_path / "temp"
    for name in ("PATHS", "BASE", "BASELINE", "FAIL_ON", "STRICT", "ARGUMENTS"):
        step(temp, STORY / "fixed", **{name: evil})
    assert step(temp, STORY / "fixed", PATHS="--exit-zero").code == 2
    assert not (tmp_path / "evil").exists()


def test_action_hands_over_every_input_as_environment() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    script = (ROOT / "scripts" / "action.sh").read_text("utf-8")
    handed = set(re.findall(r"^ +INPUT_(\w+): \$\{\{ inputs\.([\w-]+) \}\}$", text, re.M))
    assert {name for name, _ in handed} == set(re.findall(r"\$INPUT_(\w+)", script)) == set(DEFAULTS)
    assert all(name == source.upper().replace("-", "_") for name, source in handed)
    # In the text of a script an expression would be evaluated by the shell.
    assert not re.search(r"^ +run:.*\$\{\{", text, re.M)
    assert set(re.findall(r"steps\.check\.outputs\.([\w-]+)", text)) == {"exit-code", "sarif", "markdown"}


HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")


def test_hooks_find_what_is_new_or_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = repository.new(tmp_path / "repo", "fixed")
    monkeypatch.chdir(repo.top)
    repo.edit("httpd/httpd.conf", "KeepAliveTimeout 150", "KeepAliveTimeout 50")
    commands = [[*shlex.split(entry), "."] for entry in re.findall(r"^  entry: (.*)$", HOOKS, re.M)]
    assert re.findall(r"^  args: (.*)$", HOOKS, re.M) == ["[.]", "[.]"]
    for program, *arguments in commands:
        assert program == "keepalign"
        assert run(arguments) == 1
    repo.commit()
    assert [run(arguments) for _, *arguments in commands] == [1, 0]
    assert "backend-keepalive-below-lb-idle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("infra/main.tf", True),
        ("Dockerfile", True),
        ("api/Dockerfile.prod", True),
        ("nginx/conf.d/app.conf", True),
        ("nginx.conf.template", True),
        ("entrypoint.sh", True),
        ("requirements-dev.txt", True),
        ("keepalign.toml", True),
        ("server.mjs", True),
        ("gunicorn.conf.py", True),
        ("README.md", False),
        ("logo.png", False),
    ],
)
def test_hooks_run_for_files_that_can_hold_a_timeout(file: str, wanted: bool) -> None:
    (pattern,) = re.findall(r'^  files: &files "(.*)"$', HOOKS, re.M)
    assert (re.search(pattern.replace("\\\\", "\\"), file) is not None) == wanted
