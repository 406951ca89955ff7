"""Terraform plans on the command line: as files, on standard input, beside the files they were made of."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepalign.cli import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders-api"
PLANS = Path(__file__).parents[1] / "readers" / "fixtures" / "terraform_plan"
SECRET = "hunter2-planted-secret"

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keepalign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in process, in a copy of the examples, with bytes on standard input."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(
        *arguments: str, stdin: bytes = b"", kind: type[io.TextIOWrapper] = io.TextIOWrapper
    ) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", kind(io.BytesIO(stdin)))
        code = run(arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


def plan_of(state: str) -> bytes:
    return (PLANS / f"orders-{state}.json").read_bytes()


def applications(state: str) -> list[str]:
    """The paths of an example, without its Terraform."""
    return [f"{state}/app", f"{state}/httpd", f"{state}/keepalign.toml"]


def verdicts(out: str) -> list[tuple[Any, ...]]:
    """What a check found, without places and fixes."""
    data = json.loads(out)
    assert (data["unjoined"], data["unknown"]) == ([], [])
    return [(f["cause"], f["margin_s"], f["severity"], f["confidence"], f["paths"]) for f in data["findings"]]


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("state", ["broken", "fixed"])
def test_plan_and_files_give_the_same_verdicts(keepalign: Call, state: str) -> None:
    code, out, _ = keepalign("check", "--format", "json", state)
    planned = keepalign("check", "--format", "json", "-", *applications(state), stdin=plan_of(state))
    assert planned[0] == code == (1 if state == "broken" else 0)
    assert verdicts(planned[1]) == verdicts(out)
    Path(f"{state}/infra/plan.json").write_bytes(plan_of(state))
    both = keepalign("check", "--format", "json", state)
    assert verdicts(both[1]) == verdicts(out)


def test_plan_is_piped_into_a_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "keepalign", "check", "-", *applications("broken")],
        cwd=EXAMPLE,
        input=plan_of("broken"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"aws_lb.this.idle_timeout in <stdin>" in done.stdout


def test_values_of_a_plan_are_shown_by_their_addresses(keepalign: Call) -> None:
    Path("plan.json").write_bytes(plan_of("broken"))
    _, out, _ = keepalign("check", "plan.json", *applications("broken"))
    assert "::: aws_lb.this.idle_timeout in plan.json\n    = aws_lb.this re-uses it for up to 60 s\n" in out
    assert re.search(r"✗ aws_lb\.this +idle_timeout +60 s +█+ +plan\.json\n", out)
    assert "format_version" not in out


def test_json_names_the_plan_with_line_and_column(keepalign: Call) -> None:
    _, out, _ = keepalign("check", "--format", "json", "-", *applications("broken"), stdin=plan_of("broken"))
    places = [where for f in json.loads(out)["findings"] for where in f["locations"]]
    (place, *_) = [where for where in places if where["file"] == "<stdin>"]
    assert plan_of("broken")[place["column"] - 1 :].startswith(b"60,")
    assert place["line"] == 1
    assert place["label"].endswith(" (aws_lb.this.idle_timeout)")
    (via,) = json.loads(out)["paths"][0]["hops"][0]["settings"][0]["origin"]["via"]
    assert (via["what"], via["place"]["file"]) == ("aws_lb.this.idle_timeout", "<stdin>")


# Secrets


def with_secrets() -> bytes:
    """The plan of the broken example with a secret before, behind and inside whatever is read of it."""
    data = json.loads(plan_of("broken"))
    data["variables"]["password"] = {"value": SECRET}
    for change in data["resource_changes"]:
        change["change"]["after"]["tags"] = {"token": SECRET}
    for one in data["planned_values"]["root_module"]["resources"]:
        values = {}
        for name, value in one["values"].items():
            values[f"a_{name}"] = SECRET
            values[name] = value
            values[f"{name}_z"] = SECRET
        one["values"] = values
        if one["type"] == "aws_ecs_task_definition":
            containers = json.loads(values["container_definitions"])
            for container in containers:
                container["environment"] = [{"name": "PASSWORD", "value": SECRET}]
                if container.get("command"):
                    container["command"] += ["--env", f"PASSWORD={SECRET}"]
            values["container_definitions"] = json.dumps(containers)
    return json.dumps(data).encode()


def formats(keepalign: Call) -> list[str]:
    """All that `check --format` takes, in its own words."""
    _, _, err = keepalign("check", "--format", "no-such-format", "broken")
    found = re.search(r"is none of ([\w, -]+?),? nor FORMAT=FILE", words(err))
    assert found is not None
    return found[1].split(", ")


def test_secrets_of_a_plan_are_in_no_output(keepalign: Call) -> None:
    known = formats(keepalign)
    assert {"text", "json"} <= set(known)
    for form in known:
        code, out, err = keepalign(
            "check", "--format", form, "-", *applications("broken"), stdin=with_secrets()
        )
        assert code == 1, form
        assert "backend-keepalive-below-lb-idle" in out, form
        assert SECRET not in out + err, form
        assert "hunter2" not in out + err, form
    _, out, err = keepalign("fix", "-", *applications("broken"), stdin=with_secrets())
    assert "+KeepAliveTimeout 150" in out
    assert "hunter2" not in out + err
    Path("plan.json").write_bytes(with_secrets()[:-1000])
    _, out, err = keepalign("check", "plan.json")
    assert "is no JSON" in err
    assert "hunter2" not in out + err


def test_sensitive_values_are_in_no_output(keepalign: Call) -> None:
    plan = (PLANS / "services.json").read_bytes()
    assert SECRET.encode() in plan
    for form in formats(keepalign):
        code, out, err = keepalign("check", "--format", form, "-", *applications("broken"), stdin=plan)
        assert code in (0, 1), form
        assert "hunter2" not in out + err, form
        assert "987654" not in out + err, form
    _, out, _ = keepalign("check", "-", stdin=plan)
    assert "marked as sensitive" in words(out)


def test_sensitive_number_is_unknown_on_its_path(keepalign: Call) -> None:
    data = json.loads(plan_of("broken"))
    for one in data["planned_values"]["root_module"]["resources"]:
        if one["type"] == "aws_lb":
            one["values"]["idle_timeout"] = 987654
            one["sensitive_values"]["idle_timeout"] = True
    _, out, _ = keepalign("check", "-", *applications("broken"), stdin=json.dumps(data).encode())
    assert "987654" not in out
    assert "marked as sensitive (aws_lb.this.idle_timeout in <stdin>)" in words(out)


# Fixes


def test_fix_of_a_plan_is_told_by_hand_with_its_address(keepalign: Call) -> None:
    code, out, err = keepalign("fix", "-", *applications("broken"), stdin=plan_of("broken"))
    assert code == 1
    assert "--- a/broken/httpd/httpd.conf" in out
    assert "stdin" not in out
    assert "by hand: set idle_timeout of aws_lb.this to 120 s (aws_lb.this.idle_timeout in <stdin>;" in words(
        err
    )
    address = "aws_lb_target_group.orders.deregistration_delay in <stdin>"
    assert f"by hand: set deregistration_delay of aws_lb.this to 120 s ({address};" in words(err)


def test_fix_of_a_plan_beside_its_files_edits_the_files(keepalign: Call) -> None:
    alone = keepalign("fix", "broken")
    Path("broken/infra/plan.json").write_bytes(plan_of("broken"))
    assert keepalign("fix", "broken") == alone
    assert alone[0] == 0
    assert "+  default     = 120" in alone[1]
    code, _, err = keepalign("fix", "--write", "broken")
    assert (code, "with these values the check finds nothing" in words(err)) == (0, True)
    # The plan is of before: it counts until somebody makes it anew.
    code, out, _ = keepalign("check", "broken")
    assert code == 1
    assert (
        "aws_lb.this.idle_timeout in broken/infra/plan.json is 60 s, and in this file 120 s: the plan counts;"
        " make it anew if the file was changed since"
    ) in words(out)


def test_plan_is_never_written(keepalign: Call) -> None:
    Path("plan.json").write_bytes(plan_of("broken"))
    keepalign("fix", "--write", "plan.json", *applications("broken"))
    assert Path("plan.json").read_bytes() == plan_of("broken")


# Mistakes


def test_standard_input_cannot_be_written(keepalign: Call) -> None:
    code, out, err = keepalign("fix", "--write", "-", "broken/app", stdin=plan_of("broken"))
    assert (code, out) == (2, "")
    assert err.startswith("error: --write cannot edit standard input (-)\nhint: ")


def test_standard_input_is_given_once(keepalign: Call) -> None:
    code, out, err = keepalign("check", "-", "-", stdin=plan_of("broken"))
    assert (code, out) == (2, "")
    assert err.startswith("error: standard input (-) is given twice\n")


class Terminal(io.TextIOWrapper):
    """Nobody has typed anything yet."""

    def isatty(self) -> bool:
        return True


def test_terminal_is_not_waited_for(keepalign: Call) -> None:
    code, _, err = keepalign("check", "-", kind=Terminal)
    assert code == 2
    assert "terraform show -json tfplan | keepalign check -" in err


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("-", b"", "<stdin>:1:1: is no JSON: expecting value"),
        ("-", b"PK\x03\x04\x14", "<stdin>: is a binary plan, and keepalign reads plans as JSON"),
        ("tfplan", b"PK\x03\x04" + bytes(26) + b"tfplan", "tfplan: is a binary plan, and"),
        ("plan.json", b"Terraform used the selected providers", "plan.json:1:1: is no JSON: expecting value"),
        ("plan.json", b'{"format_version":"1.2","terraform_version":"1.11.4",', "plan.json:1:54: is no JSON"),
        ("other.json", b'{"a": 1}', "other.json:1:1: is no plan: it has neither planned_values nor values"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_told_with_the_command_that_makes_one(
    keepalign: Call, name: str, data: bytes, message: str
) -> None:
    if name != "-":
        Path(name).write_bytes(data)
    code, out, err = keepalign("check", name, stdin=data)
    assert (code, out) == (2, "")
    assert message in err
    assert "terraform show -json" in err


def test_other_json_beside_other_paths_is_nothing(keepalign: Call) -> None:
    Path("package.json").write_text('{"name": "shop"}')
    Path("tsconfig.json").write_text("{ // with a comment\n}")
    alone = keepalign("check", "broken")
    assert keepalign("check", "broken", "package.json", "tsconfig.json") == alone


def test_plan_with_sorted_keys_is_read_when_it_is_given(keepalign: Call) -> None:
    data = json.loads(plan_of("broken"))
    Path("mine.json").write_text(json.dumps({"a": "x" * 5000} | dict(sorted(data.items()))))
    code, out, _ = keepalign("check", "mine.json", *applications("broken"))
    assert code == 1
    assert "aws_lb.this.idle_timeout in mine.json" in out


def test_plan_above_the_limit_of_configuration_is_read(keepalign: Call) -> None:
    data = json.loads(plan_of("broken")) | {"prior_state": {"padding": ["x" * 100] * 40_000}}
    Path("broken/infra/plan.json").write_text(json.dumps(data))
    assert Path("broken/infra/plan.json").stat().st_size > 2 * 1024 * 1024
    code, out, _ = keepalign("check", "--format", "json", "broken")
    assert code == 1
    assert len(verdicts(out)) > 0
