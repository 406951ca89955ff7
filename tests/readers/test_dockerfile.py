"""DockerfileReader: the last stage, with places."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, FIXTURES, assert_spans_fit, source_of, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import CommandLine, CommandStyle
from keepalign.readers.dockerfile import DockerfileReader


def read(text: str) -> DockerfileFragment:
    return DockerfileReader().read(SourceText("Dockerfile", text.encode()))


def texts(command: CommandLine | None) -> list[str | None]:
    assert command is not None
    return [w.text for w in command.words]


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_story_application_reads_fully(variant: str) -> None:
    source = source_of(EXAMPLE / variant / "app/Dockerfile")
    fragment = DockerfileReader().read(source)
    assert (fragment.base, text_at(source, fragment.base_span)) == ("python:3.12-slim", "python:3.12-slim")
    assert texts(fragment.entrypoint) == ["./docker-entrypoint.sh"]
    assert fragment.cmd is not None
    assert texts(fragment.cmd) == ["--bind", ":8000"]
    assert [text_at(source, w.span) for w in fragment.cmd.words] == ['"--bind"', '":8000"']
    assert [text_at(source, w.value_span) for w in fragment.cmd.words] == ["--bind", ":8000"]
    assert fragment.cmd.append_at is not None
    assert source.data[fragment.cmd.append_at.start :] == b"]\n"
    assert fragment.cmd.style is CommandStyle.LIST
    assert fragment.copies == ((("requirements.txt",), "."), (("app.py", "docker-entrypoint.sh"), "./"))
    assert (fragment.workdir, fragment.notes) == ("/srv", ())
    assert (fragment.cmd_is_shell_form, fragment.entrypoint_is_shell_form) == (False, False)


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_story_web_server_reads_fully(variant: str) -> None:
    fragment = DockerfileReader().read(source_of(EXAMPLE / variant / "httpd/Dockerfile"))
    assert (fragment.base, fragment.exposes) == ("httpd:2.4", (8080,))
    assert fragment.copies == ((("httpd.conf",), "/usr/local/apache2/conf/httpd.conf"),)
    assert (fragment.entrypoint, fragment.cmd, fragment.stop_signal) == (None, None, None)


def test_everything_at_once() -> None:
    source = source_of(FIXTURES / "dockerfile/Dockerfile.everything")
    fragment = DockerfileReader().read(source)
    assert_spans_fit(source, fragment)
    assert fragment.base == "*/python:3.12-slim"
    assert text_at(source, fragment.base_span) == "${REGISTRY}/python:${VERSION}-slim"
    assert fragment.environment == {"APP_HOME": "/srv", "TIMEOUT": "60", "GREETING": "hello  world"}
    assert (fragment.workdir, fragment.stop_signal) == ("/srv/app", "SIGQUIT")
    assert fragment.exposes == (8000, 9000, 9001)
    assert fragment.copies == ((("requirements.txt", "app.py"), "./"), (("a b.txt", "c.txt"), "/etc/"))
    assert fragment.entrypoint is not None
    assert fragment.entrypoint_is_shell_form
    assert texts(fragment.entrypoint) == ["gunicorn", "--timeout", "60", "--bind", ":8000", "app:app"]
    timeout = fragment.entrypoint.words[2]
    assert text_at(source, timeout.value_span) == "60"
    assert text_at(source, timeout.via[0][1]) == "60"
    # The base stage's CMD is gone with the new ENTRYPOINT, and the heredoc's never was one.
    assert fragment.cmd is None
    assert fragment.notes == ()


@pytest.mark.parametrize(
    ("text", "cmd", "entrypoint"),
    [
        ('FROM a AS b\nCMD ["x"]\nFROM b\n', ["x"], None),
        ('FROM a AS b\nCMD ["x"]\nFROM b\nENTRYPOINT ["e"]\n', None, ["e"]),
        ('FROM a AS b\nENTRYPOINT ["e"]\nFROM b\nCMD ["x"]\n', ["x"], ["e"]),
        ('FROM a\nCMD ["x"]\nENTRYPOINT ["e"]\n', ["x"], ["e"]),
        ('FROM a AS b\nCMD ["x"]\nFROM c\n', None, None),
        ('FROM a\nCMD ["x"]\nCMD ["y"]\n', ["y"], None),
        ('FROM a AS B\nCMD ["x"]\nfrom b\n', ["x"], None),
    ],
)
def test_stages_inherit_as_docker_builds_them(
    text: str, cmd: list[str] | None, entrypoint: list[str] | None
) -> None:
    fragment = read(text)
    assert (texts(fragment.cmd) if fragment.cmd else None) == cmd
    assert (texts(fragment.entrypoint) if fragment.entrypoint else None) == entrypoint


@pytest.mark.parametrize(
    ("command", "words", "shell"),
    [
        ("gunicorn -t 30 app", ["gunicorn", "-t", "30", "app"], True),
        ("exec gunicorn -t ${T:-9} app", ["gunicorn", "-t", "9", "app"], True),
        ("cd /srv && gunicorn app", ["gunicorn", "app"], True),
        ("sh -c 'gunicorn app'", ["gunicorn", "app"], True),
        ('["sh", "-c", "exec gunicorn -t $E app"]', ["gunicorn", "-t", "7", "app"], False),
        ('["sh", "-c", "gunicorn --name \\"a b\\" app"]', ["gunicorn", "--name", "a b", "app"], False),
        ("[]", [], False),
    ],
)
def test_forms_of_a_command(command: str, words: list[str], shell: bool) -> None:
    fragment = read(f"FROM a\nENV E=7\nCMD {command}\n")
    assert texts(fragment.cmd) == words
    assert fragment.cmd_is_shell_form is shell


@pytest.mark.parametrize(
    "command",
    [
        "CMD gunicorn --keep-alive ${KEEP:-5} a:a",
        'CMD ["sh", "-c", "gunicorn --keep-alive ${KEEP:-5} a:a"]',
        "ENV KEEP=5\nCMD gunicorn --keep-alive $KEEP a:a",
    ],
)
def test_a_container_s_environment_stands_above_the_image_s(command: str) -> None:
    source = SourceText("Dockerfile", f"FROM x\n{command}\n".encode())
    reader = DockerfileReader()
    assert texts(reader.read(source).cmd) == ["gunicorn", "--keep-alive", "5", "a:a"]
    assert texts(reader.read_run(source, {}).cmd) == ["gunicorn", "--keep-alive", "5", "a:a"]
    assert texts(reader.read_run(source, {"KEEP": "75"}).cmd) == ["gunicorn", "--keep-alive", "75", "a:a"]
    secret = reader.read_run(source, {"KEEP": None}).cmd
    assert secret is not None
    assert (secret.words[2].text, secret.words[2].reason) == (None, "$KEEP is set when the container starts")
    assert reader.read_run(source, {"KEEP": "75"}).environment == reader.read(source).environment


def test_a_list_with_single_quotes_is_the_shell_form() -> None:
    fragment = read("FROM a\nCMD ['gunicorn', 'app']\n")
    assert fragment.cmd_is_shell_form
    assert [n.text for n in fragment.notes] == [
        "CMD is no JSON list of strings in double quotes, so a shell runs it"
    ]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM httpd:2.4", "httpd:2.4"),
        ("FROM httpd", "httpd"),
        ("FROM --platform=$BUILDPLATFORM httpd:2.4 AS x", "httpd:2.4"),
        ("ARG V=2.4\nFROM httpd:${V}", "httpd:2.4"),
        ("ARG V\nFROM httpd:${V:-2.2}", "httpd:*"),
        ("FROM httpd:${V:-2.2}", "httpd:2.2"),
        ("FROM ${R}/httpd:2.4", "*/httpd:2.4"),
        ("FROM httpd:2.4 AS one\nFROM one AS two\nFROM two", "httpd:2.4"),
        ("\ufeffFROM httpd:2.4", "httpd:2.4"),
    ],
)
def test_base(text: str, base: str) -> None:
    assert read(text).base == base


def test_the_escape_directive_moves_continuations() -> None:
    fragment = read("# escape=`\nFROM a\nENV A=1 `\n    B=2\nWORKDIR /x\\y\n")
    assert fragment.environment == {"A": "1", "B": "2"}
    # Below an instruction it is a plain comment.
    assert read("FROM a\n# escape=`\nENV A=1 \\\n    B=2\n").environment == {"A": "1", "B": "2"}


def test_an_unknown_instruction_is_noted() -> None:
    fragment = read("FROM a\nFRMO b\n")
    assert [(n.text, n.span.line if n.span else 0) for n in fragment.notes] == [
        ("FRMO is no Dockerfile instruction", 2)
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [("", None), ("# only this\n", None), ("RUN x\n", 1), ("FROM\n", 1), ("FROM a\nCMD 'x\n", 2)],
)
def test_what_builds_nothing_is_an_error(text: str, line: int | None) -> None:
    with pytest.raises(ReadError) as caught:
        read(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/Dockerfile", True), ("Dockerfile.web", True), ("web.Dockerfile", True), ("Containerfile", True),
        ("Dockerfile.dockerignore", False), ("Dockerfile.md", False), ("mydockerfile", False),
        (".github/workflows/dockerfile.yaml", False), ("dockerfile.go", False),
    ],
)  # fmt: skip
def test_recognise(path: str, expected: bool) -> None:
    assert DockerfileReader().recognise(path, b"") is expected


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_the_exec_form_reads_every_string_that_json_writes(words: list[str]) -> None:
    clean = [w.encode("utf-8", "replace").decode() for w in words]
    source = SourceText("Dockerfile", b"FROM a\nCMD " + json.dumps(clean).encode() + b"\n")
    cmd = DockerfileReader().read(source).cmd
    assert texts(cmd) == clean
    assert cmd is not None
    assert [json.loads(text_at(source, w.span)) for w in cmd.words] == clean


PIECES = [
    b"FROM a\n", b"FROM a AS b\n", b"FROM b\n", b"CMD ", b'["a", "b"]', b'["\\ud800"]', b"ENV A=", b"ENV A ",
    b"ARG A", b"COPY ", b"RUN <<E\n", b"E\n", b"\\\n", b"# escape=`\n", b"`\n", b"${A:-", b"}", b"'", b'"',
    b"$A",
    b"\xff", b"\x00", b"EXPOSE 1-9999", b"WORKDIR ", b"sh -c ", b"\n", b" ", b"--from=",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=25))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes]) -> None:
    source = SourceText("Dockerfile", b"FROM x\n" + b"".join(pieces))
    try:
        fragment = DockerfileReader().read(source)
    except ReadError:
        return
    assert_spans_fit(source, fragment)


@pytest.mark.parametrize(
    ("name", "head", "known"),
    [
        ("Dockerfile-alpine", b"# syntax=docker/dockerfile:1\nfrom alpine\n", True),
        ("Dockerfile_prod", b"ARG X\nFROM x:${X}\n", True),
        ("Dockerfile-lint", b"rules:\n", False),
        ("Dockerfile-notes.md", b"FROM x\n", False),
    ],
)
def test_names_with_a_dash_are_dockerfiles_where_they_have_a_stage(
    name: str, head: bytes, known: bool
) -> None:
    assert DockerfileReader().recognise(f"docker/{name}", head) is known
