"""The compiled loop counts what Python's counts, and hands back what Python's hands back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.scanning import ERROR, FINE, hostile_lines, logs, whole_lines

from keepalign.logs import scanner
from keepalign.logs.scanner import CompiledScanner, Key, PythonScanner, Scanner, load

SOURCE = scanner.LIBRARY.with_suffix(".c")
CC = shutil.which("cc")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built here with all warnings, whatever `make setup` has built."""
    if CC is None:
        pytest.skip("there is no C compiler here")
    path = tmp_path_factory.mktemp("scanner") / "scanner.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O1"]
    subprocess.run([CC, *flags, "-fPIC", "-shared", "-o", path, SOURCE], check=True)
    return path


def key_of(line: bytes) -> Key:
    fields = line.split(b" ")
    return fields[1][:16], fields[2], fields[4], fields[8], fields[9]


def run(
    made: Scanner, parts: list[bytes], known: set[Key], *, rest: bool = False
) -> tuple[list[tuple[int, bytes]], dict[Key, int], int]:
    """Lines handed back, counts, lines; of what is handed back, keys in `known` are taught."""
    back: list[tuple[int, bytes]] = []

    def odd(number: int, line: bytes) -> None:
        back.append((number, line))
        fields = line.split(b" ", 12)
        if (
            len(fields) == 13
            and (key := (fields[1][:16], fields[2], fields[4], fields[8], fields[9])) in known
        ):
            made.learn(key, rest=rest)

    number = 1
    for part in parts:
        number += made.block(part, number, odd)
    return back, made.counts(), number - 1


@given(
    data=st.one_of(logs, st.lists(whole_lines).map(b"\n".join)),
    known=st.sets(whole_lines.map(key_of)),
    rest=st.booleans(),
)
def test_both_forms_do_the_same(library: Path, data: bytes, known: set[Key], rest: bool) -> None:
    """Within a block what was taught counts at once in one form and later in the other: the sums agree."""
    if rest:
        known = {(minute, *key[1:]) for minute, *_ in known for key in known}
    parts = data.splitlines(keepends=True) if b"\r" not in data and b"\0" not in data else [data]
    python = run(PythonScanner(), parts, known, rest=rest)
    compiled = run(CompiledScanner(load(library)), parts, known, rest=rest)
    if len(parts) > 1:
        assert compiled == python
    assert compiled[1:] == python[1:]


@pytest.mark.parametrize("form", ["python", "compiled"])
def test_rest_of_a_key_is_known_in_every_minute_that_is(library: Path, form: str) -> None:
    """And neither in a minute of which nothing was learnt, nor what was learnt for its own minute only."""
    found = PythonScanner() if form == "python" else CompiledScanner(load(library))
    assert found.counts() == {}
    first, second, third = (key_of(FINE.replace(b"T10:01:", b"T10:0%d:" % minute)) for minute in (1, 2, 3))
    other = (*second[:2], b"10.0.0.9:80", *second[3:])
    found.learn(first, rest=True)
    found.learn(other)
    lines = [
        FINE.replace(b"T10:01:", key[0][10:] + b":").replace(first[2], key[2])
        for key in (first, second, third, other, (*first[:2], *other[2:]))
    ]
    assert [key_of(one) for one in lines[:4]] == [first, second, third, other]
    back: list[tuple[int, bytes]] = []
    for _ in range(2):
        found.block(b"\n".join(lines), 1, lambda number, text: back.append((number, text.rstrip(b"\n"))))
    assert back == [(3, lines[2]), (5, lines[4])] * 2
    assert found.counts() == {first: 3, second: 2, other: 3}


@given(known=st.lists(whole_lines, min_size=1, max_size=3), line=hostile_lines)
def test_known_keys_are_told_from_all_others(library: Path, known: list[bytes], line: bytes) -> None:
    """Also with the rest of the block right behind the line, at every length of it."""
    keys = {key_of(one) for one in known}
    for end in (b"", b"\n", b"\n" + FINE, b"\r\n" + b" " * 40):
        python, compiled = PythonScanner(), CompiledScanner(load(library))
        for key in keys:
            python.learn(key)
            compiled.learn(key)
        assert run(compiled, [line + end], set()) == run(python, [line + end], set())


def test_borders_of_blocks_may_be_anywhere_between_lines(library: Path) -> None:
    lines = [FINE + b"\n", ERROR + b"\n", b"\n", FINE + b"\r\n", b"x\n", FINE]
    expected = run(PythonScanner(), [b"".join(lines)], {key_of(FINE)})
    for cut in range(len(lines) + 1):
        parts = [b"".join(lines[:cut]), b"".join(lines[cut:])]
        assert run(CompiledScanner(load(library)), parts, {key_of(FINE)})[1:] == expected[1:]


def test_many_keys_and_many_odd_lines_are_held(library: Path) -> None:
    """The table grows several times, and a block hands back more than there is room for at once."""
    fields = FINE.split(b" ")
    lines = [b" ".join([*fields[:4], b"10.0.%d.%d:80" % divmod(n, 250), *fields[5:]]) for n in range(9000)]
    block = b"\n".join(lines)
    keys = {key_of(line) for line in lines}
    found = CompiledScanner(load(library))
    back, counts, total = run(found, [block], keys)
    assert (len(back), total) == (9000, 9000)
    assert back[-1] == (9000, lines[-1])
    assert counts == dict.fromkeys(keys, 1)
    assert run(found, [block], keys) == ([], dict.fromkeys(keys, 2), 9000)


def test_without_a_library_python_does_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scanner._library.cache_clear()
    monkeypatch.delenv(scanner.VARIABLE, raising=False)
    for content in (None, b"", b"no library"):
        path = tmp_path / f"{content!r}.so"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(scanner, "LIBRARY", path)
        assert isinstance(scanner.new_scanner(), PythonScanner)
        scanner._library.cache_clear()


def test_environment_can_ask_for_python(monkeypatch: pytest.MonkeyPatch, library: Path) -> None:
    monkeypatch.setattr(scanner, "LIBRARY", library)
    for value, form in (("python", PythonScanner), ("", CompiledScanner)):
        scanner._library.cache_clear()
        monkeypatch.setenv(scanner.VARIABLE, value)
        assert type(scanner.new_scanner()) is form
    scanner._library.cache_clear()


def test_a_library_of_another_version_is_not_used(tmp_path: Path) -> None:
    if CC is None:
        pytest.skip("there is no C compiler here")
    source = tmp_path / "other.c"
    source.write_text("int keepalign_version(void) { return 999; }\n")
    subprocess.run([CC, "-fPIC", "-shared", "-o", tmp_path / "other.so", source], check=True)
    with pytest.raises(AttributeError, match="another version"):
        load(tmp_path / "other.so")


def test_build_script_builds_in_place_or_says_nothing(tmp_path: Path) -> None:
    script = Path(scanner.__file__).parents[3] / "scripts" / "build-scanner.sh"
    folder = tmp_path / "src" / "keepalign" / "logs"
    folder.mkdir(parents=True)
    shutil.copy(SOURCE, folder)
    for compiler in ("no-such-compiler", CC or "cc"):
        done = subprocess.run(
            ["sh", str(script)],
            cwd=tmp_path,
            env={"CC": compiler, "PATH": "/usr/bin:/bin"},
            capture_output=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (folder / "_scanner.so").exists() == (compiler == CC)
