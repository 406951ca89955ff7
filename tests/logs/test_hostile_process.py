"""`keepalign diagnose` as a process: signals, pipes, a full disk, and memory that has a bound."""

from __future__ import annotations

import errno
import gzip
import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.logs.hostile import FINE, PAIR

from keepalign.cli import run
from keepalign.errors import KeepalignError, ReadError
from keepalign.logs import blocks, scan

SIZE = 5 << 20
"""Stored bytes of each log: workers are started above 4 MB. Unpacked it takes them seconds."""
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two logs that are small on the disk and long."""
    member = gzip.compress(f"{FINE}\n".encode() * 20_000 + PAIR)
    paths = [tmp_path_factory.mktemp("logs") / f"{name}.log.gz" for name in "ab"]
    for path in paths:
        path.write_bytes(member * (SIZE // len(member)))
    return [str(path) for path in paths]


@pytest.fixture(autouse=True)
def hangup_ends() -> Iterator[None]:
    """Also where the tests themselves run under nohup: what they start inherits it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Running:
    """A diagnosis with two workers at work, in a session and with a folder for temporary files of its own."""

    def __init__(self, logs: list[str], folder: Path, preexec_fn: Callable[[], object] | None = None) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "keepalign", "diagnose", "--no-cache", "--jobs", "2", *logs]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
            preexec_fn=preexec_fn,
        )
        self.workers: list[int] = []
        assert until(lambda: len(self._children()) == 2)
        self.workers = self._children()

    def _children(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ended(self) -> tuple[int, str, str]:
        """Exit code and what it said; by then no worker is left."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        assert until(lambda: not any(map(alive, self.workers)))
        return self.process.returncode, out, err


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def until(holds: Callable[[], bool]) -> bool:
    """Whether it holds within the limit."""
    pause = threading.Event()
    for _ in range(int(LIMIT_S / 0.01)):
        if holds():
            return True
        pause.wait(0.01)
    return False


@pytest.fixture
def running(logs: list[str], tmp_path: Path) -> Iterator[Running]:
    one = Running(logs, tmp_path)
    yield one
    for pid in (one.process.pid, *one.workers):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    one.process.communicate()


@pytest.mark.parametrize("whole_group", [False, True])
def test_ctrl_c_tells_what_is_known_and_leaves_nothing(running: Running, whole_group: bool) -> None:
    (os.killpg if whole_group else os.kill)(running.process.pid, signal.SIGINT)
    code, out, err = running.ended()
    assert (code, err) == (130, "")
    assert out.startswith("Interrupted: ")
    assert "reading was stopped after" in " ".join(out.split())
    assert list(running.folder.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("whole_group", [False, True])
def test_no_worker_outlives_what_ended_from_outside(
    running: Running, sent: signal.Signals, whole_group: bool
) -> None:
    (os.killpg if whole_group else os.kill)(running.process.pid, sent)
    code, out, err = running.ended()
    assert (code, out, err) == (-sent, "", "")
    # Nobody clears up behind a process that was killed.
    assert sent is signal.SIGKILL or list(running.folder.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_signal_to_end_leaves_no_half_file_of_rows(
    sent: signal.Signals, logs: list[str], tmp_path: Path
) -> None:
    """While one process judges: the folder of rows holds the beginnings of a file by then."""
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    out.mkdir()
    words = ["--no-cache", "--jobs", "1", "--rows", str(out / "rows.csv"), *logs]
    process = subprocess.Popen(
        [sys.executable, "-m", "keepalign", "diagnose", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert until(lambda: any(one.stat().st_size for one in out.iterdir()))
    process.send_signal(sent)
    said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, *said) == (-sent, b"", b"")
    assert [*temporary.iterdir(), *out.iterdir()] == []


def test_signal_that_is_ignored_stays_ignored(logs: list[str], tmp_path: Path) -> None:
    """As nohup does it."""
    one = Running(logs, tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    one.process.send_signal(signal.SIGHUP)
    # Only a signal that comes later can show that this one was passed over.
    one.process.send_signal(signal.SIGTERM)
    assert one.ended() == (-signal.SIGTERM, "", "")


def test_worker_that_is_killed_is_an_error_and_no_hang(running: Running) -> None:
    os.kill(running.workers[0], signal.SIGKILL)
    code, _, err = running.ended()
    assert code == 2, err
    assert "the process that read it was ended from outside\nhint: was it out of memory?" in err
    assert list(running.folder.iterdir()) == []


def piped(tmp_path: Path, data: bytes, *arguments: str) -> int:
    """One call that reads `data` from a named pipe; its exit code."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    code = run(["diagnose", "--no-cache", "--max-rejects", "0", *arguments, str(pipe)])
    writer.join(LIMIT_S)
    assert not writer.is_alive()
    return code


@pytest.mark.parametrize("pairs", [1, 5_000])
@pytest.mark.parametrize("packed", [False, True])
def test_no_line_of_a_pipe_is_lost(
    pairs: int, packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = PAIR * pairs
    assert piped(tmp_path, gzip.compress(data) if packed else data) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"{2 * pairs:,} lines: {pairs} error" in out
    assert "0 not understood" in out


def test_streams_are_read_beside_large_files(
    logs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stream cannot be sent to a worker."""
    large = tmp_path / "large.log"
    large.write_bytes(PAIR * 6_500)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PAIR * 2_000)))
    assert piped(tmp_path, PAIR * 2_000, "-", str(large), "--jobs", "2") == 1
    assert "21,000 lines: 10500 errors judged" in capsys.readouterr().out


def test_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    """400 MB in 400 KB, without a line's end; the process may have a third of it."""
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress(PAIR) + gzip.compress(b"x" * 40_000_000, 9) * 10)
    limit = 150 << 20

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [sys.executable, "-m", "keepalign", "diagnose", "--no-cache", "--max-rejects", "1", str(log)]
    for words, data in ((command, b""), ([*command[:-1], "-"], log.read_bytes())):
        done = subprocess.run(words, input=data, capture_output=True, timeout=LIMIT_S, preexec_fn=bound)
        assert (done.returncode, done.stderr) == (1, b"")
        assert b"3 lines: 1 error judged, 1 answered without error, 1 not understood." in done.stdout


FORKED = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
"""Other tests' servers leave threads in this process; Python 3.12 and later warn of forking beside them."""


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers inherit what a test has replaced."""
    monkeypatch.setattr("keepalign.logs.engines.local._context", lambda: multiprocessing.get_context("fork"))


@pytest.mark.parametrize("jobs", ["1", "2"])
@FORKED
def test_full_disk_is_told_with_what_to_do(
    jobs: str,
    forked: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.log").write_bytes(PAIR * 4_000)

    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scan, "FileIO", Full)
    assert run(["diagnose", "--no-cache", "--jobs", jobs, str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "No space left on device\nhint: error lines are kept there meanwhile: set TMPDIR" in err


@FORKED
def test_error_of_one_object_comes_back_from_its_worker(
    forked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.log").write_bytes(PAIR * 4_000)

    real = blocks.pieces

    def broken(opener: object, name: str, *rest: object) -> Iterator[bytes]:
        if name.endswith("b.log"):
            raise ReadError("it is gone", file=name, hint="bring it back")
        return real(opener, name, *rest)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(scan, "pieces", broken)
    assert run(["diagnose", "--no-cache", "--jobs", "2", str(tmp_path)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "b.log: not read: it is gone" in out
    assert "16,000 lines: 8000 errors judged" in out


def test_pipe_whose_reader_left_is_no_error_of_ours(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(PAIR * 2_000)
    command = [sys.executable, "-m", "keepalign", "diagnose", "--no-cache", str(log), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(LIMIT_S) == 141


def test_errors_survive_the_way_between_processes() -> None:
    import pickle

    told = ReadError("what", file="a.log", line=3, column=4, hint="how")
    back = pickle.loads(pickle.dumps(told))
    assert isinstance(back, KeepalignError)
    assert (str(back), back.hint) == ("a.log:3:4: what", "how")


def test_no_folder_for_temporary_files_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(PAIR)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert run(["diagnose", "--no-cache", str(log)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no folder for temporary files: No such file or directory\nhint: set TMP")


@pytest.mark.parametrize("limit", [1 << 12, 1 << 16])
@pytest.mark.parametrize("words", [["--rows", "rows.csv"], ["--rows", "rows.jsonl"], ["--format", "json=o"]])
def test_file_that_finds_no_room_is_not_left_half(limit: int, words: list[str], tmp_path: Path) -> None:
    log, out = tmp_path / "a.log", tmp_path / "out"
    out.mkdir()
    log.write_bytes(PAIR * 1_000)

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "keepalign", "diagnose", "--no-cache", str(log), *words],
        cwd=out,
        capture_output=True,
        timeout=LIMIT_S,
        preexec_fn=bound,
    )
    name = words[1].removeprefix("json=")
    assert (done.returncode, done.stderr) == (2, f"error: {name}: File too large\n".encode())
    assert list(out.iterdir()) == []
