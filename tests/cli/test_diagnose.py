"""`keepalign diagnose`: standard input, files, exit codes; never a traceback."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.logs.lines import line

from keepalign.cli import run
from keepalign.errors import ReadError
from keepalign.logs.alb import FIELDS, tokens
from keepalign.reports import diagnosis_v1

BAD = line("0.001 0.000 -1 502 -", at=100, sent_bytes=277)
FINE = line("0.001 0.020 0.000 200 200", at=101)


def paste(monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: str) -> int:
    """One call with `data` on standard input; its exit code."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return run(["diagnose", "-", *arguments])


def test_pasted_lines_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paste(monkeypatch, f"{BAD}\n{FINE}\n".encode()) == 1
    out, err = capsys.readouterr()
    assert out.startswith(
        "This error (confidence medium): the balancer sent a request on an idle\nconnection"
    )
    assert out.endswith("2 lines: 1 error judged, 1 answered without error, 0 not understood.\n")
    assert err == ""
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{BAD}\n", 1),
        (line("0.001 -1 -1 460 -", elapsed=5), 1),
        (FINE, 0),
        (line("-1 -1 -1 400 -", target="-"), 0),
        (f"{FINE}\nnonsense\n", 0),
        ("nonsense\n", 3),
        ("", 3),
    ],
)
def test_exit_code_says_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, code: int
) -> None:
    assert paste(monkeypatch, text.encode()) == code
    assert capsys.readouterr().out
    assert paste(monkeypatch, text.encode(), "--format", "json") == code
    jsonschema.validate(json.loads(capsys.readouterr().out), json.loads(diagnosis_v1.schema()))


def test_stated_timers_reach_the_judge(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = ("--idle-timeout", "60s", "--keep-alive", "5s", "--deregistration-delay", "20s")
    assert paste(monkeypatch, BAD.encode(), *stated) == 1
    out = capsys.readouterr().out
    assert "confidence high" in out
    assert "--in-front aws-alb:idle_timeout=60s" in out
    assert paste(monkeypatch, BAD.encode(), "--idle-timeout", "60") == 2
    assert "write a number with a unit" in capsys.readouterr().err


def test_files_are_read_plain_and_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain, packed = Path("a.log"), Path("b.log.gz")
    plain.write_text(f"{FINE}\n{BAD}\n", "utf-8")
    packed.write_bytes(gzip.compress(f"{line('-1 -1 -1 503 -', target='-')}\n".encode()))
    assert run(["diagnose", str(plain), str(packed)]) == 1
    out = capsys.readouterr().out
    assert "no-healthy-targets" in out
    assert f"{packed}:1\n" in out
    assert out.endswith("3 lines: 2 errors judged, 1 answered without error, 0 not understood.\n")


def test_packed_lines_are_read_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paste(monkeypatch, gzip.compress(BAD.encode())) == 1
    assert "1 line: 1 error judged" in capsys.readouterr().out


def test_broken_gzip_keeps_what_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.log.gz"
    whole = gzip.compress(
        "\n".join(
            [BAD, *(line("0.001 0.020 0.000 200 200", at=n, sent_bytes=n * 7919) for n in range(200))]
        ).encode()
    )
    cut.write_bytes(whole[:-60])
    assert run(["diagnose", str(cut)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "the gzip stream breaks off" in out
    assert "1 error judged" in out


@pytest.mark.parametrize(
    ("make", "told"),
    [
        ("missing", "No such file or directory"),
        ("folder", "no access log in this folder"),
        ("secret", "Permission denied"),
    ],
)
def test_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: str, told: str
) -> None:
    path = tmp_path / "x.log"
    if make == "folder":
        path.mkdir()
    elif make == "secret":
        path.write_text(BAD, "utf-8")
        path.chmod(0)
        try:
            path.read_bytes()
        except PermissionError:
            pass
        else:
            return  # root reads everything
    assert run(["diagnose", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: {told}")


def test_control_bytes_of_a_log_reach_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = line("0.001 4.2 -1 502 -", request="GET http://a:80/\x1b]0;pwned\x07\x9b31m\x00 HTTP/1.1")
    assert paste(monkeypatch, f"{evil}\n\x1b[2Jnonsense\x08\n".encode()) == 1
    out = capsys.readouterr().out
    assert r"\x1b]0;pwned\x07" in out
    assert all(part.isprintable() for part in out.split("\n"))


def test_terminal_is_told_to_paste(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(BAD.encode()))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    assert run(["diagnose", "-"]) == 1
    assert capsys.readouterr().err == "Paste lines of an ALB access log, then press Ctrl-D.\n"


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "--help"]) == 0
    assert "3: no line could be read" in " ".join(capsys.readouterr().out.split())


def test_diagnose_runs_as_a_program_and_loads_no_servers() -> None:
    code = (
        "import sys; from keepalign.cli import run; code = run(['diagnose', '-']);"
        "heavy = ('keepalign.lab', 'keepalign.prove', 'asyncio', 'tree_sitter');"
        "print([m for m in sys.modules if m.startswith(heavy)], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=BAD.encode(), capture_output=True, timeout=60, check=True
    )
    assert done.stderr.decode() == "[] 1\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary()
    | st.lists(st.sampled_from([BAD.encode(), b"\n", b"\x1f\x8b", b'"', b"\\", b"\x00"])).map(b"".join)
)
def test_any_bytes_make_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    for format_ in ("text", "json"):
        assert paste(monkeypatch, data, "--format", format_) in (0, 1, 3)
        out, err = capsys.readouterr()
        assert out
        assert err == ""


def logs(tmp_path: Path, *more: str) -> Path:
    """A file with one error and what is given."""
    path = tmp_path / "access.log"
    path.write_text("".join(f"{one}\n" for one in (BAD, FINE, *more)), "utf-8")
    return path


def test_each_format_goes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {"json": "a.json", "markdown": "a.md", "html": "a.html"}
    words = [word for name, file in outputs.items() for word in ("--format", f"{name}={tmp_path / file}")]
    assert run(["diagnose", str(logs(tmp_path)), *words, "--rows", str(tmp_path / "rows.csv")]) == 1
    assert capsys.readouterr().out == ""
    for file in (*outputs.values(), "rows.csv"):
        assert "backend-keepalive-below-lb-idle" in (tmp_path / file).read_text("utf-8")


@pytest.mark.parametrize(("most", "code"), [("10%", 5), ("34%", 1), ("0", 5), ("1", 1), ("100%", 1)])
def test_too_many_lines_that_cannot_be_read_are_an_exit_code_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: str, code: int
) -> None:
    assert run(["diagnose", str(logs(tmp_path, "no line of a log")), "--max-rejects", most]) == code
    out, err = capsys.readouterr()
    assert "no line of a log" in out
    assert ("1 of 3 lines could not be read" in err) == (code == 5)


def test_records_of_other_logs_in_the_same_log_group_do_not_count_as_rejects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "vended.json"
    other = json.dumps({"time": "2026-11-22T10:00:00Z", "tls_verify_status": "-"})
    names = [name.replace(":", "_") for name, _ in FIELDS]
    record = dict(zip(names, (one.text for one in tokens(FINE)), strict=False))
    texts = [json.dumps(record), other, other, other]
    log.write_text("\n".join(texts) + "\n", "utf-8")
    assert run(["diagnose", str(log), "--max-rejects", "0", "--no-cache"]) == 0
    assert "a record of the ALB connection log" in " ".join(capsys.readouterr().out.split())
    log.write_text("\n".join([*texts, "{}"]) + "\n", "utf-8")
    assert run(["diagnose", str(log), "--max-rejects", "0", "--no-cache"]) == 5


@pytest.mark.parametrize("word", ["-1", "101%", "x", "%", "nan%", "inf", ""])
def test_number_of_rejects_has_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert run(["diagnose", str(logs(tmp_path)), "--max-rejects", word]) == 2
    assert "share such as 1%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "judged"),
    [
        (["--since", "2026-11-22"], 1),
        (["--since", "2026-11-22T10:02:00"], 0),
        (["--since", "2026-11-22T10:30+01:00", "--until", "2026-11-22T10:01:40Z"], 0),
        (["--until", "2026-11-22T11:30+01:00"], 1),
        (["--since", "20000d"], 1),
        (["--path", "/orders"], 1),
        (["--path", "/ORDERS"], 0),
        (["--target-group", "orders"], 1),
    ],
)
def test_errors_are_picked_by_time_path_and_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], judged: int
) -> None:
    assert run(["diagnose", str(logs(tmp_path)), "--format", "json", *arguments]) == judged
    assert len(json.loads(capsys.readouterr().out)["errors"]) == judged


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "yesterday"], "is no time"),
        (["--since", "2h", "--until", "3h"], "--since is not before --until"),
        (["--rows", "rows.xls"], "the suffix says no format of rows"),
        (["--with", "missing.log"], "missing.log"),
        (["--engine", "athena"], "is no S3 address"),
        (["--engine", "duckdb", "--live"], "--live works with --engine local"),
        (["--engine", "duckdb", "--keep-all"], "--keep-all works with --engine local, and with a cache"),
        (["--no-cache", "--keep-all"], "--keep-all works with --engine local, and with a cache"),
        (["--engine", "trino", "--rows", "rows.csv"], "leave --rows and --format out"),
        (["--engine", "trino", "--format", "json"], "leave --rows and --format out"),
        (["--format", "html=no/such/folder/x.html"], "there is no folder "),
        (["--format", "html=."], "it is a folder"),
        (["--rows", "/tmp/x.csv", "--format", "json=/tmp/./x.csv"], "over a file which is written, too"),
    ],
)
def test_options_that_cannot_be_used_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(["diagnose", str(logs(tmp_path)), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_trino_is_told_in_sql(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "s3://bucket/AWSLogs/", "--engine", "trino", "--target-group", "orders"]) == 0
    out = capsys.readouterr().out
    assert "external_location = 's3://bucket/AWSLogs/'" in out
    assert "'orders'" in out
    assert run(["diagnose", "s3://a/", "s3://b/", "--engine", "trino"]) == 2


@pytest.mark.parametrize("words", [["--rows", "{}"], ["--format", "json={}"]])
@pytest.mark.parametrize("beside", ["", "--with", "--events"])
def test_what_is_read_is_not_written_over(
    words: list[str], beside: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, other, link = tmp_path / "log.jsonl", tmp_path / "other.jsonl", tmp_path / "link.jsonl"
    for file in (log, other):
        file.write_text(f"{BAD}\n")
    read = other if beside else log
    link.symlink_to(read)
    for name in (read, link):
        options = [one.format(name) for one in words] + ([beside, str(other)] if beside else [])
        assert run(["diagnose", str(log), *options]) == 2
        assert "would be written over a file which is read" in capsys.readouterr().err
        assert read.read_text() == f"{BAD}\n"


def test_output_that_fails_keeps_no_other_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs(tmp_path)
    outputs = ["--format", "text", "--format", "markdown=/dev/full", "--format", f"json={tmp_path}/answer"]
    assert run(["diagnose", str(log), *outputs]) == 2
    said = capsys.readouterr()
    assert said.err == "error: /dev/full: No space left on device\n"
    assert said.out.endswith("not understood.\n")
    assert json.loads((tmp_path / "answer").read_text())["schema"] == 1


def test_what_cannot_be_kept_is_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is worth more than the table."""
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress(f"{BAD}\n".encode()))
    monkeypatch.setenv("KEEPALIGN_CACHE", str(log))
    assert run(["diagnose", "--keep-all", str(log)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "tables of all lines that could not be kept in the cache: 1" in said

    def full(*_: object, **__: object) -> int:
        raise ReadError("its table of all lines cannot be made: no space", file="a.log.gz")

    monkeypatch.setattr("keepalign.logs.slim.write", full)
    monkeypatch.setenv("KEEPALIGN_CACHE", str(tmp_path / "cache"))
    assert run(["diagnose", "--keep-all", str(log)]) == 1
    assert "a.log.gz: its table of all lines cannot be made: no space" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--engine", "duckdb"]])
def test_standard_input_that_cannot_be_read_is_told(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(os.devnull, "w") as closed, open(closed.fileno(), closefd=False) as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert run(["diagnose", "-", *words]) == 2
    assert capsys.readouterr().err == "error: standard input: Bad file descriptor\n"
