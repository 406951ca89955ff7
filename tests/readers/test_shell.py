"""Shell words, entrypoint scripts and `sh -c`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, FIXTURES, assert_spans_fit, source_of, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._reader import CommandLine, CommandStyle, Word
from keepalign.readers._shell_words import Stretch, Variable
from keepalign.readers.shell import ScriptReader, split, unwrap, words


def script(text: str) -> SourceText:
    return SourceText("entrypoint.sh", text.encode())


def texts(command: CommandLine | None) -> list[str | None]:
    assert command is not None
    return [w.text for w in command.words]


def only(text: str, **env: str) -> list[str | None]:
    source = script(text)
    (command,) = words(source, 0, len(source.data), {n: Variable(v) for n, v in env.items()})
    return texts(command.line)


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_story_reads_fully(variant: str) -> None:
    source = source_of(EXAMPLE / variant / "app/docker-entrypoint.sh")
    fragment = ScriptReader().read(source)
    command = fragment.command
    assert command is not None
    assert texts(command) == ["gunicorn", None, "app:application"]
    assert [w.splice for w in command.words] == [False, True, False]
    assert [text_at(source, w.span) for w in command.words] == ["gunicorn", '"$@"', "app:application"]
    assert text_at(source, command.place) == 'exec gunicorn "$@" app:application'
    assert command.append_at is not None
    assert source.data[command.append_at.start :] == b"\n"
    assert (command.style, fragment.notes, fragment.environment) == (CommandStyle.SHELL, (), {})


def test_a_script_in_the_official_manner() -> None:
    source = source_of(FIXTURES / "shell/official-entrypoint.sh")
    fragment = ScriptReader().read(source)
    assert_spans_fit(source, fragment)
    command = fragment.command
    assert texts(command) == [
        "gunicorn", "--workers", "3", "--timeout", "45", "--log-level", None, None, "app:app",
    ]  # fmt: skip
    assert command is not None
    workers, timeout, level, arguments = (command.words[i] for i in (2, 4, 6, 7))
    assert text_at(source, workers.value_span) == "3"
    assert text_at(source, timeout.value_span) == "45"
    assert [name for name, _ in timeout.via] == ["TIMEOUT", "GUNICORN_TIMEOUT"]
    assert "$LEVEL is set under a condition" in level.reason
    assert arguments.splice
    assert fragment.environment == {"PORT": "8080", "NAME": None}


def test_a_script_with_a_known_environment() -> None:
    source = source_of(FIXTURES / "shell/official-entrypoint.sh")
    fragment = ScriptReader().read_script(source, {"GUNICORN_TIMEOUT": "90", "WORKERS": None})
    assert fragment.command is not None
    workers, timeout = fragment.command.words[2], fragment.command.words[4]
    assert (timeout.text, timeout.value_span) == ("90", None)
    assert (workers.text, workers.reason) == (None, "$WORKERS cannot be resolved")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
        ("a b'c'\"d\"e", ["a", "bcde"]),
        ("a # comment\n", ["a"]),
        ("a b#c", ["a", "b#c"]),
        ("a \\\n  b", ["a", "b"]),
        ("a 'x' > /dev/null 2>&1 b", ["a", "x", "b"]),
        ("a '' \"\"", ["a", "", ""]),
        ('a "\\$X \\q \\""', ["a", '$X \\q "']),
        ("a $X", ["a", "1", "2"]),
        ('a "$X" "${X}y" ${X}y', ["a", "1 2", "1 2y", None]),
        ("a $E", ["a"]),
        ('a "$E"', ["a", ""]),
        ("a ${E:-5} ${E-6}", ["a", "5"]),
        ("a ${X:+yes} ${NO:-'q r'}", ["a", "yes", "q r"]),
        ("a ${NO:-${ALSO:-deep}}", ["a", "deep"]),
        ("a $(date) `date` $((1+1)) ${X%1} $1 $NO", ["a", None, None, None, None, None, None]),
        ("A=1 B=2 a $A", ["a", None]),
        ("exec -a name a", ["a"]),
    ],
)
def test_words(text: str, expected: list[str | None]) -> None:
    assert only(text, X="1 2", E="") == expected


def test_unresolved_words_say_why() -> None:
    source = script("a $(date) $1 $NO ${X%y}")
    (command,) = words(source, 0, len(source.data))
    assert [w.reason for w in command.line.words[1:]] == [
        "it is the output of a command",
        "it is argument 1 of the script",
        "$NO is not set in these files",
        "${X%y} is an expansion that keepalign does not follow",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a && b; c | d\ne & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("T=4; a $T", [["a", "4"]]),
        ("T=4\nT=5 a\nb $T", [["a"], ["b", "4"]]),
        ("if a; then b; else c; fi; d", [["a"], ["b"], ["c"], ["d"]]),
        ("for x in 1 2; do a; done", [["a"]]),
        ('set -- x y; a "$@"', [["a", "x", "y"]]),
        ('set -- x y; shift; a "$@"', [["a", "y"]]),
        ("A=(1 2)\na $A", [["a", None]]),
        ("unset X; a ${X:-5}", [["a", "5"]]),
    ],
)
def test_commands(text: str, expected: list[list[str | None]]) -> None:
    source = script(text)
    found = words(source, 0, len(source.data), {"X": Variable("9")})
    assert [texts(c.line) for c in found] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nexec b\nc", "b"),
        ("a\nb", "b"),
        ("if t; then exec a; fi\nexec b", "b"),
        ("if t; then exec a; fi\nb", "a"),
        ("t || exec a\nexec b", "b"),
        ("[ -n x ] && exec a\nexec b", "b"),
        ("migrate && exec a\nexec b", "a"),
        ("main() {\n  exec a\n}\nmain", "a"),
        ("case x in\n a) exec a;;\n *) echo;;\nesac\nexec b", "b"),
        ("(exec a)\nexec b", "b"),
        ("exec sh -c 'exec a'", "a"),
    ],
)
def test_the_command_that_stays(text: str, expected: str) -> None:
    fragment = ScriptReader().read(script(text))
    assert texts(fragment.command)[0] == expected


def test_leading_assignments_of_the_command_are_environment() -> None:
    fragment = ScriptReader().read(script("export A=1\nB=2 exec a\n"))
    assert fragment.environment == {"A": "1", "B": "2"}


def test_replaced_arguments_are_noted() -> None:
    fragment = ScriptReader().read(script('if [ "$1" = x ]; then set -- a; fi\nexec b "$@"\n'))
    assert ["replaced here under a condition" in n.text for n in fragment.notes] == [True]


def test_split_fields_keep_their_place_in_the_variable() -> None:
    source = script('OPTS="--timeout 30"\nexec gunicorn $OPTS app:app\n')
    command = ScriptReader().read(source).command
    assert command is not None
    assert [text_at(source, w.value_span) for w in command.words[1:3]] == ["--timeout", "30"]
    assert [text_at(source, w.span) for w in command.words[1:3]] == ["$OPTS", "$OPTS"]


def test_unwrap_keeps_the_places_inside_a_word() -> None:
    source = script("sh -ec 'cd /srv && exec gunicorn -t 30 app:app' -- x")
    (outer,) = words(source, 0, len(source.data))
    inner = unwrap(outer.line)
    assert texts(inner) == ["gunicorn", "-t", "30", "app:app"]
    assert [text_at(source, w.value_span) for w in inner.words] == ["gunicorn", "-t", "30", "app:app"]
    assert inner.append_at is not None
    assert source.data[inner.append_at.start :] == b"' -- x"


def test_unwrap_fills_the_arguments_behind_the_text() -> None:
    source = script("bash -c 'exec gunicorn \"$@\"' name -t 30")
    (outer,) = words(source, 0, len(source.data))
    assert texts(unwrap(outer.line)) == ["gunicorn", "-t", "30"]


def test_unwrap_without_places_still_reads_the_words() -> None:
    word = Word("gunicorn -t 30", SourceText("x.tf", b'"gunicorn -t \\u0033 30"').span(0, 23))
    (command,) = split(Stretch.inside(word), {})
    assert texts(command.line) == ["gunicorn", "-t", "30"]
    assert [w.value_span for w in command.line.words] == [None, None, None]
    assert command.line.append_at is None


@pytest.mark.parametrize("text", ["exec 'a", 'exec "a', "exec `a", "exec $(a", "exec ${A", "exec ${A:-'}"])
def test_what_is_not_closed_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(ReadError) as caught:
        ScriptReader().read(script("#!/bin/sh\n" + text))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("run.sh", b"#!/bin/sh\n", True),
        ("run.sh", b"#!/usr/bin/env -S bash -e\n", True),
        ("run.sh", b"#!/usr/bin/python3\n", False),
        ("run.sh", b"echo\n", False),
        ("compose/django/start", b"#!/bin/bash\n", True),
        ("docker/start-web", b"#!/bin/sh\n", True),
        ("start", b"echo\n", False),
        ("bin/lint", b"#!/bin/sh\n", False),
        ("docker-entrypoint.sh", b"#! /bin/bash\n", True),
        ("entrypoint", b"exec a\n", True),
        ("entrypoint.py", b"import os\n", False),
        ("entrypoint", b"#!/usr/bin/python3\n", False),
    ],
)
def test_recognise(path: str, head: bytes, expected: bool) -> None:
    assert ScriptReader().recognise(path, head) is expected


PIECES = [
    b"'", b'"', b"\\", b"\n", b"$", b"${", b"}", b"$(", b")", b"(", b"`", b"#", b";", b"&&", b"||", b"|",
    b"<<E\n", b"E\n", b"\xff", b"A=", b"exec ", b'"$@"', b"if ", b"fi ", b"case x in ", b"esac ", b"${A:-",
    b">", b" ",
    b"set -- ", b"shift ", b"sh -c ", b"export ", b"for ", b"do ", b"done ", b"{ ", b"f() ", b"a",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=25))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes]) -> None:
    source = SourceText("entrypoint.sh", b"".join(pieces))
    try:
        fragment = ScriptReader().read(source)
    except ReadError:
        return
    assert_spans_fit(source, fragment)
    for word in fragment.command.words if fragment.command else ():
        assert (word.text is None) == bool(word.reason)


@given(st.lists(st.text("ab c'\"\\$#;&|<>(){}*?~\t", max_size=6), min_size=1, max_size=5))
def test_quoted_words_read_back(given_words: list[str]) -> None:
    """What single quotes protect comes back as it was, with its place."""
    quoted = ["'" + w.replace("'", "'\\''") + "'" for w in given_words]
    source = script("a " + " ".join(quoted))
    (command,) = words(source, 0, len(source.data))
    assert texts(command.line) == ["a", *given_words]
    assert [text_at(source, w.span) for w in command.line.words[1:]] == quoted
    for word in command.line.words:
        if word.value_span is not None:
            assert text_at(source, word.value_span) == word.text


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        ("sh -c 'exec rails s'", "rails"),
        ("bash -o pipefail -c 'exec rails s'", "rails"),
        ("/bin/sh -euo pipefail -c 'exec rails s'", "rails"),
        ("bash -lc 'exec rails s'", "rails"),
        ("bash -c -e 'exec rails s'", "rails"),
        ("bash -o noclobber start.sh", "bash"),
        ("bash +x -c", "bash"),
    ],
)
def test_options_of_a_shell_stand_in_front_of_its_command(line: str, inner: str) -> None:
    (command,) = words(SourceText("a", line.encode()), 0, len(line))
    assert unwrap(command.line).words[0].text == inner
