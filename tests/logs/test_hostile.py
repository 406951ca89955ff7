"""`keepalign diagnose` on what breaks log tools: every line is told of, nothing foreign gets out alive."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlglot
from tests.logs import hostile
from tests.logs.hostile import ERROR, FINE, FOREIGN, LINES, PAIR

from keepalign.cli import run
from keepalign.logs import scanner
from keepalign.model.diagnosis import Accounting

FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Answer:
    """One call's exit code, both streams, and the JSON report; the other formats were checked already."""

    code: int
    out: str
    err: str
    report: dict[str, object]

    @property
    def counts(self) -> Accounting:
        return accounting_of(self.report["accounting"])

    @property
    def files(self) -> dict[str, dict[str, object]]:
        files = self.report["files"]
        assert isinstance(files, list)
        return {one["name"]: one for one in files}


Diagnose = Callable[..., Answer]


def accounting_of(counts: object) -> Accounting:
    """With every line accounted for."""
    assert isinstance(counts, dict)
    found = Accounting(
        **{name: counts[name] for name in ("lines", "judged", "fine", "rejected", "blank", "continued")}
    )
    assert found.lines == found.judged + found.fine + found.rejected + found.blank + found.continued
    return found


def lines_of(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


@pytest.fixture
def diagnose(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Diagnose:
    """Calls the command with every format, and looks for what must not be in any of them."""

    def call(*arguments: str | Path, stdin: bytes = b"", rows: bool = True) -> Answer:
        folder = tmp_path_factory.mktemp("out")
        given = io.TextIOWrapper(io.BytesIO(stdin))
        monkeypatch.setattr(sys, "stdin", given)
        formats = ["text", *(f"{kind}={folder}/{kind}" for kind in ("json", "markdown", "html"))]
        words = [word for one in formats for word in ("--format", one)]
        if rows:
            words += ["--rows", f"{folder}/rows.csv"]
        code = run(["diagnose", *map(str, arguments), "--max-rejects", "100%", "--no-cache", *words])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        if code not in (0, 1, 3):
            return Answer(code, out, err, {})
        assert hostile.unprintable(out) == []
        assert hostile.unprintable(err) == []
        report = hostile.check_json((folder / "json").read_text("utf-8"))
        page_text = (folder / "html").read_text("utf-8")
        assert hostile.unprintable(page_text) == []
        page = hostile.page_of(page_text)
        assert page.elements <= hostile.ELEMENTS
        assert not [name for _, name in page.attributes if name.startswith("on") or name in ("src", "style")]
        assert all(link.startswith("#cause-") for link in page.links)
        markdown = (folder / "markdown").read_text("utf-8")
        # Between @ and a name stands a blank of no width, so that nobody is called.
        assert hostile.unprintable(markdown.replace("\N{ZERO WIDTH SPACE}", "")) == []
        hostile.check_markdown(markdown)
        answer = Answer(code, out, err, report)
        if rows:
            with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
                cells = list(csv.reader(file))[1:]
            assert len(cells) == answer.counts.judged
            for cell in (cell for row in cells for cell in row):
                assert hostile.unprintable(cell) == []
                assert "\n" not in cell
                assert not cell.startswith(FORMULA)
        for one in answer.files.values():
            accounting_of(one["accounting"])
        causes = report["causes"]
        assert isinstance(causes, list)
        for cause in causes:
            if cause["query"]:
                (tree,) = sqlglot.parse(cause["query"], dialect="athena")
                assert isinstance(tree, sqlglot.exp.Select)
        return answer

    return call


@pytest.mark.parametrize("name", LINES)
def test_no_line_is_lost_and_nothing_foreign_gets_out_alive(
    name: str, diagnose: Diagnose, tmp_path: Path
) -> None:
    data = PAIR + LINES[name] + b"\n" + PAIR
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    for answer in (
        diagnose("-", stdin=data),
        diagnose("-", stdin=gzip.compress(data)),
        diagnose(plain),
        diagnose(packed),
        diagnose(tmp_path, "--engine", "duckdb", rows=False),
    ):
        assert answer.code == 1
        assert answer.counts.judged >= 2
        assert answer.counts.fine >= 2
        whole = lines_of(data)
        assert answer.counts.lines == sum(
            accounting_of(one["accounting"]).lines for one in answer.files.values()
        )
        assert answer.counts.lines == whole * (2 if len(answer.files) == 2 else 1)


@pytest.mark.parametrize("name", LINES)
def test_file_of_nothing_else_ends_without_a_fault(name: str, diagnose: Diagnose, tmp_path: Path) -> None:
    file = tmp_path / "a.log.gz"
    file.write_bytes(gzip.compress(LINES[name]))
    alone, pasted = diagnose(file), diagnose("-", stdin=LINES[name])
    for answer in (alone, pasted):
        read = answer.counts.judged + answer.counts.fine
        assert answer.code in ((0, 1) if read else (3,))
        assert answer.out.strip()


def test_first_lines_of_something_else_do_not_hide_the_others(diagnose: Diagnose, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"something else\n" * 1_000 + PAIR * 3_000)
    assert file.stat().st_size > 1 << 20
    counts = diagnose(file, rows=False).counts
    assert (counts.lines, counts.rejected, counts.judged) == (7_000, 1_000, 3_000)


@pytest.mark.parametrize("form", ["python", "compiled"])
def test_both_scanners_tell_the_same(
    form: str, diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.log.gz"
    file.write_bytes(gzip.compress(PAIR + b"\n".join(LINES.values()) + b"\n" + PAIR))
    expected = diagnose(file).report
    monkeypatch.setenv(scanner.VARIABLE, "python" if form == "python" else "")
    scanner._library.cache_clear()
    try:
        assert diagnose(file).report == expected
    finally:
        monkeypatch.undo()
        scanner._library.cache_clear()


@pytest.mark.parametrize(
    ("stored", "lines", "note"),
    [
        (gzip.compress(PAIR * 100)[:-200], 0, "breaks off"),
        (gzip.compress(PAIR * 100) * 2, 400, ""),
        (gzip.compress(PAIR * 100) + b"garbage", 200, "what follows 1 gzip member is no gzip"),
        (gzip.compress(PAIR * 100) + b"\0" * 512, 200, ""),
        (gzip.compress(PAIR * 100) + gzip.compress(PAIR)[:20], 200, "breaks off"),
        (PAIR * 100, 200, ""),
    ],
    ids=["cut", "two members", "garbage behind", "zeros behind", "second member cut", "plain"],
)
@pytest.mark.parametrize("name", ["a.log", "a.gz"])
def test_gzip_streams_keep_what_came_whatever_their_name(
    name: str, stored: bytes, lines: int, note: str, diagnose: Diagnose, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(stored)
    for answer in (diagnose(tmp_path), diagnose("-", stdin=stored)):
        assert answer.counts.lines >= lines
        assert not lines or (answer.counts.lines, answer.counts.rejected) == (lines, 0)
        assert (note in " ".join(answer.out.split())) is True


NAMES = (
    b"new\nline", b"esc\x1b[31m", b"<script>alert(1)<x>", b"%s{0}%n", b"caf\xe9", b"'; DROP TABLE x;--",
    b"|a|b|", b"=1+1", b"`id`$(id)", b"l" * 240, b"-", b"--help", b"@me", b"[a]*?", b" ", b"\xe2\x80\xae",
    b"\"'&<b>",
)  # fmt: skip


@pytest.mark.parametrize("ending", [b".log", b".log.gz"])
def test_names_of_files_are_foreign_text_too(
    ending: bytes, diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        data = PAIR + b"not a line of the log\n"
        stored = gzip.compress(data) if ending == b".log.gz" else data
        (tmp_path / os.fsdecode(name + ending)).write_bytes(stored)
    answer = diagnose(tmp_path)
    assert (answer.counts.judged, answer.counts.rejected) == (len(NAMES), len(NAMES))
    assert len(answer.files) == len(NAMES)
    monkeypatch.chdir(tmp_path)
    again = diagnose(*(f"./{os.fsdecode(name + ending)}" for name in NAMES))
    assert again.counts == answer.counts


def test_cache_takes_names_that_are_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEEPALIGN_CACHE", str(tmp_path / "cache"))
    file = tmp_path / os.fsdecode(b"caf\xe9.log.gz")
    file.write_bytes(gzip.compress(PAIR))
    for _ in range(2):
        assert run(["diagnose", str(file)]) == 1
    assert "caf\\udce9" in capfd.readouterr().out


def test_folder_of_foreign_objects_is_told_of(diagnose: Diagnose, tmp_path: Path) -> None:
    (tmp_path / "good.log").write_bytes(PAIR)
    (tmp_path / "same.log").symlink_to("good.log")
    (tmp_path / "copy.log").write_bytes(PAIR)
    (tmp_path / "picture.png").write_bytes(LINES["png"])
    (tmp_path / "picture.gz").write_bytes(LINES["png"])
    (tmp_path / "ELBAccessLogTestFile").write_bytes(LINES["test-file"])
    (tmp_path / "conn_log.1_elasticloadbalancing_eu_app.lb.1.log.gz").write_bytes(gzip.compress(b"\x00\n"))
    (tmp_path / "health_check_log_1.log.gz").write_bytes(gzip.compress(b"x\n"))
    (tmp_path / "folder.log.gz").mkdir()
    (tmp_path / "gone.log").symlink_to("nowhere")
    (tmp_path / "loop.log").symlink_to("pool.log")
    (tmp_path / "pool.log").symlink_to("loop.log")
    (tmp_path / "up").symlink_to("..")
    os.mkfifo(tmp_path / "pipe.log")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.log"))
        answer = diagnose(tmp_path)
    assert answer.counts == Accounting(4, 2, 2, 0, 0, 0)
    left_out = {Path(name).name for name, one in answer.files.items() if one["skipped"]}
    assert left_out == {
        "picture.gz", "ELBAccessLogTestFile", "gone.log", "loop.log", "pool.log", "pipe.log", "socket.log",
    }  # fmt: skip


def test_file_that_must_not_be_read_or_breaks_is_told_of(
    diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for the superuser, whom no permission stops."""
    (tmp_path / "good.log").write_bytes(PAIR)
    (tmp_path / "bad.log").write_bytes(PAIR)
    opened = Path.open

    def refuse(path: Path, *arguments: object, **keywords: object) -> object:
        if path.name == "bad.log":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **keywords)  # type: ignore[call-overload] # whatever it was called with

    monkeypatch.setattr(Path, "open", refuse)
    answer = diagnose(tmp_path)
    assert answer.counts.lines == 2
    assert "Permission denied" in str(answer.files[str(tmp_path / "bad.log")]["kind"])
    alone = diagnose(tmp_path / "bad.log")
    assert (alone.code, alone.err) == (2, f"error: {tmp_path}/bad.log: Permission denied\n")


def test_nothing_at_all_is_nothing_to_read(diagnose: Diagnose, tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    assert diagnose(tmp_path / "empty.log").code == 3
    assert diagnose("-").code == 3
    assert diagnose("/dev/null").code == 3
    (tmp_path / "empty").mkdir()
    assert diagnose(tmp_path / "empty").code == 2
    assert "no access log in this folder" in diagnose(tmp_path / "empty").err


@pytest.mark.parametrize("name", ["a.log", "a.log.gz"])
def test_file_in_utf_16_says_what_to_do(name: str, diagnose: Diagnose, tmp_path: Path) -> None:
    data = LINES["utf-16"]
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    answer = diagnose(tmp_path / name)
    assert (answer.code, answer.counts.rejected) == (3, lines_of(data))
    assert "iconv -f UTF-16 -t UTF-8" in " ".join(answer.out.split())


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (gzip.compress(gzip.compress(PAIR)), "gzip once more inside of gzip: unpack it with gunzip"),
        (bz2.compress(PAIR), "packed with bzip2: unpack it with bunzip2"),
        (lzma.compress(PAIR), "packed with xz: unpack it with unxz"),
        (b"\x28\xb5\x2f\xfd\x04\x58", "packed with Zstandard: unpack it with unzstd"),
    ],
)
def test_file_that_is_packed_otherwise_says_what_to_do(
    stored: bytes, said: str, diagnose: Diagnose, tmp_path: Path
) -> None:
    (tmp_path / "a.log.gz").write_bytes(stored)
    good = tmp_path / "b.log"
    good.write_bytes(PAIR)
    answer = diagnose(tmp_path / "a.log.gz")
    assert (answer.code, said in " ".join(answer.out.split())) == (3, True)
    witness = diagnose(good, "--with", tmp_path / "a.log.gz")
    assert (witness.code, said in " ".join(witness.out.split())) == (1, True)


def test_test_file_alone_is_named(diagnose: Diagnose, tmp_path: Path) -> None:
    file = tmp_path / "ELBAccessLogTestFile"
    file.write_bytes(LINES["test-file"])
    answer = diagnose(file)
    assert answer.code == 3
    assert "not read: test file of log delivery" in answer.out


@pytest.mark.parametrize("option", ["--target-group", "--path", "--since", "--until", "--with-zone"])
@pytest.mark.parametrize("value", [*(text for text in FOREIGN if "\0" not in text), "", "[", "*" * 200])
def test_values_of_filters_reach_nothing(option: str, value: str, diagnose: Diagnose, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(PAIR)
    answer = diagnose(file, f"{option}={value}", rows=False)
    assert answer.code in (0, 1, 2)
    assert answer.code != 2 or answer.err


@pytest.mark.parametrize("value", [*FOREIGN, "%", "'"])
def test_sql_that_is_printed_is_one_statement_each(value: str, capfd: pytest.CaptureFixture[str]) -> None:
    filters = [f"--target-group={value}", f"--path={value}"]
    if run(["diagnose", "s3://bucket/prefix", "--engine", "trino", *filters]) == 0:
        out = capfd.readouterr().out
        trees = sqlglot.parse(out, dialect="trino")
        assert not [tree for tree in trees if isinstance(tree, sqlglot.exp.Drop)]


@pytest.mark.parametrize(
    "name", ["missing/rows.csv", "folder.csv", "file.log/rows.csv", "rows.exe", "full.csv", "full.parquet"]
)
def test_rows_that_cannot_be_written_are_an_error_of_usage(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.log").write_bytes(PAIR)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "full.csv").symlink_to("/dev/full")
    (tmp_path / "full.parquet").symlink_to("/dev/full")
    code = run(["diagnose", str(tmp_path / "file.log"), "--no-cache", "--rows", str(tmp_path / name)])
    err = capfd.readouterr().err
    assert (code, err.startswith(f"error: {tmp_path / name}: ")) == (2, True), err


def test_cache_that_cannot_be_used_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress(PAIR))
    for cache in (log, Path("/proc/nowhere"), Path("/dev/full")):
        monkeypatch.setenv("KEEPALIGN_CACHE", str(cache))
        assert run(["diagnose", str(log)]) == 1
        assert capfd.readouterr().err == ""


def test_witnesses_of_several_zones_break_nothing(diagnose: Diagnose, tmp_path: Path) -> None:
    file, witness = tmp_path / "a.log", tmp_path / "error.txt"
    file.write_bytes(PAIR)
    stamps = ("2026/11/22 10:01:40", "2026/11/22 11:01:40", "1970/01/01 00:00:00", "9999/12/31 23:59:60")
    texts = [f"{stamp} [error] 7#7: *1 {FOREIGN[n]}" for n, stamp in enumerate(stamps)]
    texts += [
        f'192.0.2.7 - - [22/Nov/2026:10:01:40 {zone}] "GET /{MARK} HTTP/1.1" 502 0 "-" "-"'
        for zone, MARK in zip(("+0000", "+1400", "-1200", "+9999", "CET"), FOREIGN, strict=False)
    ]
    witness.write_bytes("\n".join(texts).encode() + b"\xff\x00\n")
    for zone in ("", "Europe/Berlin", "Mars/Olympus"):
        answer = diagnose(file, "--with", witness, *(["--with-zone", zone] if zone else []))
        assert answer.code == (2 if "Mars" in zone else 1), answer.err


def test_pages_of_many_causes_hold_no_more_than_harmless_ones(diagnose: Diagnose, tmp_path: Path) -> None:
    data = b"\n".join(LINES[name] for name in LINES if name.startswith(("foreign", "group", "statuses")))
    spread = "".join(
        f"{text}\n".replace("T10:01:40", f"T{10 + n % 9}:0{n % 10}:40")
        for n, text in enumerate([ERROR, FINE] * 60)
    )
    (tmp_path / "a.log").write_bytes(data + b"\n" + spread.encode())
    answer = diagnose(tmp_path)
    assert answer.counts.judged > 80
    assert json.dumps(answer.report["causes"])
