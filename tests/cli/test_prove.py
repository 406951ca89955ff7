"""`keepalign prove` and `keepalign demo`: bad input, formats, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from tests.lab import small_stack

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.lab.recipes import apache_httpd, gunicorn
from keepalign.lab.recipes._apache_edits import Apache
from keepalign.prove import traffic
from keepalign.reports import proof_v1
from keepalign.units import Duration

STORY = Path(__file__).parents[2] / "examples" / "orders-api"
SLOW = (
    '[{ path = "/quick", longest_request = "10ms" },'
    ' { path = "/slow", longest_silence = "90s", longest_request = "90s" }]'
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less load than a proof has: what it shows is not asked here, and a slow machine has to carry it."""
    monkeypatch.setattr(traffic, "_BURST", (4, 8))
    monkeypatch.setattr(traffic, "_LENGTH", (Duration.of(s=2), Duration.of(s=2)))
    monkeypatch.setattr(traffic, "_DEPLOY_AT", (Duration.of(s=0.5), Duration.of(s=0.5)))


@pytest.mark.parametrize("command", [["prove", str(STORY / "broken")], ["demo"]])
def test_missing_apache_is_exit_code_5_and_names_the_line_that_installs_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(apache_httpd, "search_path", lambda: "/nowhere")
    apache_httpd.find.cache_clear()
    try:
        assert run(command) == 5
    finally:
        apache_httpd.find.cache_clear()
    error = capsys.readouterr().err
    assert error == (
        "error: Apache httpd 2.4 is missing\n"
        "hint: install it (Debian, Ubuntu: apt-get install --no-install-recommends apache2-bin)\n"
    )


def test_missing_gunicorn_is_exit_code_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(apache_httpd, "find", lambda: Apache("x", "2.4", tmp_path, frozenset()))
    gunicorn.find.cache_clear()
    try:
        assert run(["prove", str(STORY / "broken")]) == 5
    finally:
        gunicorn.find.cache_clear()
    assert "error: gunicorn is missing\nhint: install it beside keepalign" in capsys.readouterr().err


def test_stack_without_a_target_is_exit_code_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_stack.write(tmp_path)
    (folder / "infra" / "main.tf").unlink()
    assert run(["prove", str(folder)]) == 5
    assert "there is no target to run" in capsys.readouterr().err


def test_folder_with_nothing_to_read_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prove", str(tmp_path)]) == 3
    assert "nothing that keepalign reads" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["xml", "json=", "text,json"])
def test_unknown_format_is_exit_code_2(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", str(STORY / "broken"), "--format", value]) == 2
    assert "--format" in capsys.readouterr().err


def test_file_in_no_folder_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none" / "proof.json"
    assert run(["prove", str(STORY / "broken"), "--format", f"json={file}"]) == 2
    said = capsys.readouterr()
    assert f"{file}: there is no folder" in said.err
    assert "loading" not in said.err


def test_server_that_the_lab_cannot_run_with_ones_own_flags_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_stack.write(tmp_path, gunicorn='"--bind", ":8000"')
    main = folder / "infra" / "main.tf"
    text = main.read_text("utf-8")
    assert text.count('"gunicorn"') == 1
    main.write_text(
        text.replace('"gunicorn"', '"uvicorn"').replace('"--bind", ":8000"', '"--port", "8000"'), "utf-8"
    )
    assert run(["prove", str(folder)]) == 5
    assert (
        "the lab cannot run the uvicorn of container app with your own configuration yet"
        in capsys.readouterr().err
    )


def two_services(folder: Path) -> list[str]:
    """Two small stacks below one folder, and the names of their targets."""
    for name in ("one", "two"):
        small_stack.write(folder / name)
    return [target.name for target in load_stack([str(folder)]).targets]


def test_target_has_to_be_there_and_json_holds_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = two_services(tmp_path)
    assert len(names) == 2
    assert run(["prove", str(tmp_path), "--target", "three"]) == 2
    assert f"there is no target 'three'\nhint: there are: {', '.join(names)}" in capsys.readouterr().err
    assert run(["prove", str(tmp_path), "--format", "json"]) == 2
    assert "holds one proof, and there are 2 targets\nhint: give --target" in capsys.readouterr().err


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_several_services_are_proved_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = two_services(tmp_path)
    assert run(["prove", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert [out.count(f"Run: {name}, ") for name in names] == [1, 1]
    assert out.count("✓ The proof holds") == 2
    assert run(["prove", str(tmp_path), "--target", names[1], "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == names[1]


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_sound_stack_runs_once_and_is_reported_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_stack.write(tmp_path / "stack")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    file = tmp_path / "proof.json"
    assert run(["prove", str(folder), "--format", "text", "--format", f"json={file}"]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("✓ The proof holds: no cause is predicted, and no request failed.\n")
    assert said.out.count("Run: as it is: ") == 1
    assert said.err.splitlines() == [
        "loading the applications once",
        "as it is: starting the servers",
        "as it is: requests and a rolling deploy",
    ]
    answer = json.loads(file.read_bytes())
    jsonschema.validate(answer, json.loads(proof_v1.schema()))
    assert answer["causes"] == []
    assert [one["name"] for one in answer["runs"]] == ["as it is"]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_kept_folders_and_what_was_replaced_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "runs"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "runs").mkdir()
    folder = small_stack.write(tmp_path / "stack")
    assert run(["prove", str(folder), "--format", "json", "--keep"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["holds"] is True
    assert "-KeepAliveTimeout 90\n" in said.err
    (kept,) = (tmp_path / "runs").iterdir()
    assert f"Kept: {kept} " in said.err
    assert (kept / "task-1" / "httpd.log").exists()
    assert (kept / "access.log").read_text()


@pytest.mark.lab
def test_server_that_dies_while_starting_is_exit_code_5_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "KeepAliveTimeout 5\nTimeout 300\nNoSuchDirective On"
    assert run(["prove", str(small_stack.write(tmp_path, lines=lines))]) == 5
    error = capsys.readouterr().err
    assert "error: httpd ended with 1 while starting; its log ends with:\n" in error
    assert "Invalid command 'NoSuchDirective'" in error
    assert "Traceback" not in error


def processes_in(folder: Path) -> list[int]:
    """Processes that work in `folder` or were started for it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
            if str(folder) in words or os.readlink(entry / "cwd").startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for_the_end_of(pids: list[int], limit_s: float) -> None:
    """Raises: AssertionError: one of them is there after the limit."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([handle], [], [], limit_s)
            assert ready, f"process {pid} is still there"
        finally:
            os.close(handle)


@pytest.fixture
def proof_under_way(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A real keepalign in the middle of its runs, and where these have their folders."""
    runs = tmp_path / "runs"
    runs.mkdir()
    stack = small_stack.write(tmp_path / "stack", endpoints=SLOW, keep_alive_s=200)
    process = subprocess.Popen(
        [sys.executable, "-m", "keepalign", "prove", str(stack)],
        env={**os.environ, "TMPDIR": str(runs)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "requests and a rolling deploy" in line:
                break
        yield process, runs
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


@pytest.mark.lab
def test_ctrl_c_ends_every_process_and_leaves_no_folder(
    proof_under_way: tuple[subprocess.Popen[str], Path],
) -> None:
    process, runs = proof_under_way
    assert len(processes_in(runs)) >= 6, "two supervisors, two web servers, two stand-ins"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr is not None
    assert process.stderr.read().splitlines()[-1] == "interrupted"
    assert processes_in(runs) == []
    assert list(runs.iterdir()) == []


@pytest.mark.lab
def test_killed_keepalign_leaves_nothing_behind(
    proof_under_way: tuple[subprocess.Popen[str], Path],
) -> None:
    process, runs = proof_under_way
    pids = processes_in(runs)
    assert len(pids) >= 6
    process.kill()
    process.wait(10)
    wait_for_the_end_of(pids, 10)
    assert processes_in(runs) == []
    assert list(runs.iterdir()) == []
