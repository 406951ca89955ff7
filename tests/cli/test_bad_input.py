"""What people meet when something is wrong: a message with its place and the next step, and the exit code.

In process where that shows the same; as a process where signals, pipes or the environment matter.
"""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keepalign.cli import run
from keepalign.cli.check import FORMATS
from keepalign.readers import _opened

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders-api"

CONF = "Listen 80\nKeepAliveTimeout 5\n"
BALANCER = """\
variable "idle" {}

resource "aws_lb" "this" {
  idle_timeout = var.idle
}

resource "aws_lb_target_group" "shop" {
  name = "shop"
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What one call came to."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Standard output without its line breaks."""
        return " ".join(self.out.split())


class Keepalign:
    """Calls the command line in process, in a folder of its own, and sees that no traceback gets out."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Said:
        code = run(arguments)
        said = self._capfd.readouterr()
        assert "Traceback" not in said.out + said.err
        return Said(code, said.out, said.err)


@pytest.fixture
def keepalign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Keepalign:
    monkeypatch.chdir(tmp_path)
    return Keepalign(capfd)


def make(files: Mapping[str, str]) -> None:
    """These files, below the working directory."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def process(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, "-m", "keepalign", *arguments],
        cwd=cwd,
        env=inherited | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


# Paths and files


def test_path_that_does_not_exist_is_named(keepalign: Keepalign) -> None:
    said = keepalign("check", "no/such/folder")
    assert (said.code, said.out) == (2, "")
    assert "Path 'no/such/folder' does not exist" in said.err
    assert "keepalign check --help" in said.err


def test_path_that_is_no_file_and_no_folder_is_named(keepalign: Keepalign) -> None:
    os.mkfifo("pipe")
    said = keepalign("check", "pipe")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: pipe: neither a file nor a folder\nhint: give the folders that hold your configuration\n"
    )


def test_file_that_may_not_be_read_is_named(keepalign: Keepalign, monkeypatch: pytest.MonkeyPatch) -> None:
    make({"web/httpd.conf": CONF})
    real = builtins.open

    def refuse(file: str, *args: Any, **kwargs: Any) -> Any:  # Any: as open() itself
        if file == "web/httpd.conf":
            # Root may read everything, so the refusal is played.
            raise PermissionError(13, "Permission denied", file)
        return real(file, *args, **kwargs)

    monkeypatch.setattr(_opened, "open", refuse, raising=False)
    said = keepalign("check", ".")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: web/httpd.conf: cannot be read: Permission denied\nhint: check the path and its permissions\n"
    )


def test_link_that_leads_nowhere_is_named(keepalign: Keepalign) -> None:
    Path("httpd.conf").symlink_to("/etc/no-such-httpd.conf")
    said = keepalign("check", ".")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: httpd.conf: cannot be read: No such file or directory\nhint: ")
    assert "/etc/no-such-httpd.conf, which does not exist" in said.err


def test_folder_named_like_a_file_is_walked(keepalign: Keepalign) -> None:
    make({"httpd.conf/httpd.conf": CONF})
    said = keepalign("check", ".")
    assert said.code == 3
    assert "Apache httpd in httpd.conf/httpd.conf" in said.out


@pytest.mark.parametrize("name", ["Dockerfile", "httpd.conf", "main.tf", "keepalign.toml"])
def test_binary_is_named(keepalign: Keepalign, name: str) -> None:
    Path(name).write_bytes(bytes(range(256)))
    said = keepalign("check", ".")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {name}: is no text: it holds zero bytes\nhint: ")


@pytest.mark.parametrize("verb", ["check", "fix", "prove"])
@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        ({"main.tf": 'resource "aws_lb" "x" {\n'}, "main.tf:2:1", "invalid HCL"),
        ({"httpd.conf": "Listen 80\n<VirtualHost *:80>\n"}, "httpd.conf:2:1", "is never closed"),
        (
            {"httpd.conf": CONF, "keepalign.toml": '[[endpoint]]\npath = "/x"\nlongest_silence = 5\n'},
            "keepalign.toml:3:1",
            "must be a duration in quotes",
        ),
        (
            {"httpd.conf": CONF, "keepalign.toml": '[[endpoint]]\npth = "/x"\n'},
            "keepalign.toml:2:1",
            "'pth' is no key",
        ),
        ({"Dockerfile": "RUN make\n"}, "Dockerfile:1:1", "in front of the first FROM"),
    ],
)
def test_file_that_is_not_valid_is_told_with_line_and_next_step(
    keepalign: Keepalign, verb: str, files: Mapping[str, str], place: str, message: str
) -> None:
    make(files)
    said = keepalign(verb, ".")
    assert (said.code, said.out) == (2, "")
    error, hint = said.err.splitlines()
    assert error.startswith(f"error: {place}: ")
    assert message in error
    assert hint.startswith("hint: ")
    assert len(hint) > 12


def test_broken_copy_is_told_and_fails_only_when_asked(keepalign: Keepalign) -> None:
    make(
        {
            "infra/main.tf": BALANCER.replace("var.idle", "4"),
            "web/httpd.conf": CONF,
            "template/{{ name }}/main.tf": "{{ resources }}\n",
        }
    )
    arguments = ["check", ".", "--fail-on", "high"]
    said = keepalign(*arguments)
    assert (said.code, said.err) == (0, "")
    assert "template/{{ name }}/main.tf was not used: invalid HCL" in said.words
    assert keepalign(*arguments, "--strict").code == 1
    assert keepalign(*arguments, "template/{{ name }}/main.tf").code == 2, "who names a file means it"


@pytest.mark.parametrize("form", FORMATS)
def test_no_report_shows_a_secret_beside_a_setting(keepalign: Keepalign, form: str) -> None:
    make(
        {
            "infra/main.tf": BALANCER.replace("var.idle", "60"),
            "web/httpd.conf": (
                "Listen 80\nSetEnv API_TOKEN hunter2\nKeepAliveTimeout 5\nSetEnv DATABASE_PASSWORD hunter2\n"
            ),
        }
    )
    said = keepalign("check", ".", "--format", form)
    assert said.code == 1, "there is a finding on the line between the two"
    assert "hunter2" not in said.out + said.err
    assert "hunter2" not in keepalign("fix", ".").out


# Options


@pytest.mark.parametrize(
    ("in_front", "message"),
    [
        (["nginx"], "'nginx' is no balancer that keepalign knows"),
        (["aws-alb:idle=60s"], "aws-alb has no option 'idle'; known: deregistration_delay, idle_timeout"),
        (["aws-alb:idle_timeout=60"], "'60' is no duration"),
        (["aws-alb:idle_timeout"], "options are NAME=DURATION"),
        (["aws-alb:idle_timeout=" + "9" * 400 + "s"], "more digits than any timeout"),
    ],
)
def test_balancer_that_cannot_be_understood_is_told_with_an_example(
    keepalign: Keepalign, in_front: list[str], message: str
) -> None:
    make({"httpd.conf": CONF})
    said = keepalign("check", ".", *(word for text in in_front for word in ("--in-front", text)))
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "hint: for example --in-front aws-alb:idle_timeout=60s" in said.err


def test_two_balancers_for_one_tree_are_refused(keepalign: Keepalign) -> None:
    make({"httpd.conf": CONF})
    both = ["--in-front", "aws-alb:idle_timeout=60s", "--in-front", "aws-alb:idle_timeout=90s"]
    said = keepalign("check", ".", *both)
    assert said.code == 2
    assert "two balancers are declared (--in-front aws-alb:idle_timeout=60s and --in-front" in said.err


@pytest.mark.parametrize("value", ["45", "soon", "9" * 400 + "s", "-1s"])
def test_duration_that_cannot_be_read_is_a_usage_error(keepalign: Keepalign, value: str) -> None:
    make({"httpd.conf": CONF})
    said = keepalign("check", ".", f"--longest-request={value}")
    assert (said.code, said.out) == (2, "")
    assert "Invalid value for '--longest-request'" in said.err


# What is not there, or not known


def test_unresolved_variable_is_shown_and_fails_only_when_asked(keepalign: Keepalign) -> None:
    make({"infra/main.tf": BALANCER, "web/httpd.conf": CONF})
    arguments = ["check", "."]
    said = keepalign(*arguments)
    assert said.code == 0
    assert "var.idle has no default and no value in terraform.tfvars (infra/main.tf:4)" in said.words
    assert "→ write the number where Terraform finds it" in said.words
    assert keepalign(*arguments, "--strict").code == 1
    Path("infra/terraform.tfvars").write_text("idle = 60\n")
    assert keepalign(*arguments).code == 1, "60 s against 5 s is a finding"


def test_missing_module_is_told_with_its_line(keepalign: Keepalign) -> None:
    make({"live/main.tf": 'module "edge" {\n  source = "../modules/edge"\n}\n'})
    said = keepalign("check", "live")
    assert said.code == 3
    assert "main.tf:2: module.edge was not read: module folder not found: modules/edge" in said.words
    assert "correct the source, or give a root that holds it" in said.words
    assert keepalign("check", "live", "--strict").code == 3


def test_server_without_a_balancer_is_told_with_the_two_commands_that_decide(keepalign: Keepalign) -> None:
    make({"web server/httpd.conf": CONF})
    said = keepalign("check", "web server")
    assert (said.code, said.err) == (3, "")
    assert "Apache httpd in web server/httpd.conf (httpd.conf:1)" in said.words
    assert "`keepalign check 'web server' TERRAFORM`" in said.words
    assert "`keepalign check 'web server' --in-front aws-alb:idle_timeout=60s`" in said.words
    assert "No request path was found" in said.words
    make({"infra/main.tf": BALANCER.replace("var.idle", "60")})
    assert keepalign("check", "web server", "infra").code == 1
    assert keepalign("check", "web server", "--in-front", "aws-alb:idle_timeout=60s").code == 1


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({}, "nothing that keepalign reads is below .", "it reads Terraform (*.tf"),
        (
            {"a/b/notes.md": "x"},
            "nothing that keepalign reads is below .",
            "it reads Terraform (*.tf",
        ),
        (
            {"main.tf": 'resource "aws_s3_bucket" "x" {}\n'},
            "neither a load balancer nor a web server is defined below .",
            "keepalign check . TERRAFORM HTTPD",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["check", "fix", "prove"])
def test_nothing_to_read_is_exit_code_3(
    keepalign: Keepalign, verb: str, files: Mapping[str, str], message: str, hint: str
) -> None:
    make(files)
    said = keepalign(verb, ".")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"error: {message}\nhint: ")
    assert hint in said.err


def test_tree_without_a_target_cannot_be_proven(keepalign: Keepalign) -> None:
    make({"httpd.conf": CONF})
    said = keepalign("prove", ".")
    assert (said.code, said.out) == (5, "")
    assert "there is no target to run" in said.err
    assert "hint: run `keepalign check` on the same folders" in said.err


# Terminals and pipes


def test_reader_that_takes_a_few_lines_and_goes_is_no_error() -> None:
    script = (
        f'"{sys.executable}" -m keepalign check "{EXAMPLE}/broken" | head -n 2; echo "${{PIPESTATUS[0]}}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    *lines, code = done.stdout.splitlines()
    assert len(lines) == 2
    # The report fits into the pipe's buffer, so that keepalign may be done before head goes.
    assert code in ("1", "141")


@pytest.mark.parametrize("verb", ["check", "fix"])
def test_no_color_wins_over_a_terminal_and_colour_changes_no_text(verb: str) -> None:
    plain = process(verb, "broken", cwd=EXAMPLE)
    assert "\x1b" not in plain.stdout
    coloured = process(verb, "broken", cwd=EXAMPLE, env={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert "\x1b[" in coloured.stdout
    refused = process(verb, "broken", cwd=EXAMPLE, env={"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm"})
    assert "\x1b[3" not in refused.stdout, "no colour; bold and dim may stay"
    assert plain.returncode == coloured.returncode == refused.returncode


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_report_keeps_to_80_columns(keepalign: Keepalign, variant: str) -> None:
    os.chdir(EXAMPLE)
    for line in keepalign("check", variant).out.splitlines():
        assert len(line) <= 80, line


def test_report_of_what_could_not_be_joined_keeps_to_80_columns_but_for_paths(keepalign: Keepalign) -> None:
    long = "a-folder-with-a-rather-long-name/" * 3 + "httpd.conf"
    make(
        {long: CONF, "infra/main.tf": BALANCER, "app/Dockerfile": 'FROM python:3\nCMD ["gunicorn", "a:a"]\n'}
    )
    said = keepalign("check", ".")
    assert "target group shop" in said.out
    for line in said.out.splitlines():
        assert len(line) <= 80 or "a-folder-with-a-rather-long-name" in line, line


# Faults of our own


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    (tmp_path / "httpd.conf").write_text("<VirtualHost *:80>\n")
    command = [sys.executable, "-m", "keepalign", "check", "."]
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert quiet.returncode == 2
    assert "Traceback" not in quiet.stderr
    loud = subprocess.run(
        [*command, "--debug"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Traceback (most recent call last)" in loud.stderr
    assert "ReadError: httpd.conf:1:1: <VirtualHost> is never closed" in loud.stderr
