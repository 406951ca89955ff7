"""The frame of the command line: start-up, errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import keepalign
from keepalign import cli
from keepalign.cli import COMMANDS, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"


def keepalign_process(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "keepalign", *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE)


def test_version_is_told_and_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from keepalign.cli import run; code = run(['--version']);"
        "print(code, sorted({m.split('.')[0] for m in sys.modules}"
        " & {'rich', 'msgspec', 'tree_sitter', 'asyncio', 'tomllib', 'logging'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == f"keepalign {keepalign.__version__}\n0 []\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_loaded_by_its_name_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: keepalign {name} ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["check"],
        ["check", "/no/such/folder"],
        ["check", ".", "--longest-request", "45"],
        ["check", ".", "--format", "xml"],
        ["check", ".", "--format", "json="],
        ["check", ".", "--format", "json", "--format", "text"],
        ["check", ".", "--format", "json=/tmp/x", "--format", "text=/tmp/x"],
        ["check", ".", "--fail-on", "info"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Error: " in said.err


def test_fault_of_our_own_is_exit_code_70_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("keepalign.join.load_stack", fail)
    assert run(["check", str(EXAMPLE)]) == 70
    said = capsys.readouterr().err
    assert "a fault of keepalign itself: LookupError: a bug" in said
    assert "--debug" in said
    assert "Traceback" not in said
    with pytest.raises(LookupError):
        run(["check", "--debug", str(EXAMPLE)])
    with pytest.raises(LookupError):
        run(["--debug", "check", str(EXAMPLE)])


def test_interruption_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keepalign.join.load_stack", stop)
    assert run(["check", str(EXAMPLE)]) == 130


def test_nothing_to_read_is_exit_code_3_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: nothing that keepalign reads")
    assert "\nhint: " in said


def test_reader_that_goes_away_is_met_in_silence() -> None:
    process = keepalign_process("check", str(EXAMPLE))
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        said = stderr.read()
    assert process.wait(timeout=20) == 141
    assert said == b""


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "said"),
    [
        ("<&-", "check EXAMPLE", 1, b""),
        ("<&- 2>&-", "check EXAMPLE", 1, b""),
        (">&-", "check EXAMPLE", 2, b"error: standard output: Bad file descriptor\n"),
        ("<&- >&- 2>&-", "check EXAMPLE --format json=OUT", 1, b""),
        ("<&-", "diagnose --no-cache -", 2, b"error: standard input: Bad file descriptor\n"),
    ],
)
def test_streams_that_are_closed_break_nothing(
    closed: str, arguments: str, code: int, said: bytes, tmp_path: Path
) -> None:
    words = arguments.replace("EXAMPLE", str(EXAMPLE)).replace("OUT", str(tmp_path / "out"))
    script = f'exec "$0" -m keepalign {words} {closed}'
    done = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (code, said)
    assert (tmp_path / "out").exists() == ("OUT" in arguments)


def test_names_in_errors_reach_no_terminal_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "--no-cache", "/no/\x1b[31mname\u202e.log"]) == 2
    assert capsys.readouterr().err.startswith("error: /no/\\x1b[31mname\\u202e.log: ")


def test_output_that_cannot_show_a_mark_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = keepalign_process("check", str(EXAMPLE))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err == b""
    assert b"backend-keepalive-below-lb-idle" in out


def test_verbs_of_the_table_exist() -> None:
    context = cli.cli.make_context("keepalign", [], resilient_parsing=True)
    assert [cli.cli.get_command(context, name) is not None for name in COMMANDS] == [True] * len(COMMANDS)
