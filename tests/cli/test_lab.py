"""`keepalign lab`: list, run and compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepalign.cli import run
from keepalign.scenarios import names

SCENARIO = """
title = "The first server closes idle connections that the balancer still re-uses"
says = "It closes them after 5 s."
shows = "502"
on = "nginx"
one_way = "2ms"

[hop.web]
product = "nginx"
settings = { server_idle = "5s" }

[endpoint.quick]

[traffic.quick]
every = "5s"
plus = "2ms"
jitter = "5ms"
size = 24
run_for = "2s"

[fixed.hop.web.settings]
server_idle = "75s"
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    file = tmp_path / "backend-keepalive-below-lb-idle.toml"
    file.write_text(SCENARIO, "utf-8")
    return str(file)


def test_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in names())


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["lab", "run", "nonsense"], 2, "there is no scenario 'nonsense'"),
        (["lab", "run", "keepalive-margin-thin", "--server", "iis"], 2, "no server 'iis'"),
        (["lab", "run", "missing.toml"], 2, "missing.toml: cannot be read"),
        (["lab", "run"], 2, "Missing argument"),
        (["lab", "compare", "keepalive-margin-thin"], 2, "2 values"),
        (["lab", "compare", "keepalive-margin-thin:odd", "keepalive-margin-thin"], 2, "no 'odd' stack"),
        (["lab", "frobnicate"], 2, "No such command"),
    ],
)
def test_what_cannot_be_run_is_told(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    assert says in capsys.readouterr().err


@pytest.mark.lab
def test_run_of_ones_own_scenario_is_reported_in_text_and_json(
    mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shown.json"
    assert run(["lab", "run", mine, "--format", "text", "--format", f"json={file}"]) == 0
    out = capsys.readouterr()
    assert "✓ It fails as check predicts, and the cure ends it." in out.out
    assert "on nginx: broken and fixed" in out.err
    (scenario,) = json.loads(file.read_bytes())["scenarios"]
    assert [one["name"] for one in scenario["runs"]] == ["broken", "fixed"]


@pytest.mark.lab
def test_fixed_stack_alone_does_not_fail(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "run", mine, "--only", "fixed", "--runs", "2"]) == 0
    assert "✓ The cure holds: nothing fails." in capsys.readouterr().out


@pytest.mark.lab
def test_compare_runs_two_stacks(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "compare", mine, f"{mine}:fixed", "--format", "json"]) == 0
    broken, fixed = json.loads(capsys.readouterr().out)["scenarios"]
    assert broken["runs"][0]["failed"] > 0
    assert fixed["runs"][0]["failed"] == 0
