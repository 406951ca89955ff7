"""Files of projects, whatever their bytes: what was seen or a ReadError, in time that grows as they do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Word
from keepalign.readers._stages import read_stages
from keepalign.readers.dockerfile import DockerfileReader
from keepalign.readers.dotnet._source import read_source
from keepalign.readers.jvm import _properties
from keepalign.readers.jvm._build import read_build
from keepalign.readers.jvm.server_xml import ServerXml, read_server_xml
from keepalign.readers.projects import ProjectFragment, find_projects

GO = st.sampled_from([
    "package main\n", 'import (\n"net/http"\n"time"\n)\n', "func main() {\n", "}\n", "http.Server{", "}",
    "IdleTimeout: ", "ReadTimeout: ", "60 * time.Second", "cfg.Idle", ",\n", "srv := ",
    "srv.IdleTimeout = ", "const idle = idle + 1\n", "idle", "\n", "if x {\n", "srv.Shutdown(ctx)\n",
    "syscall.SIGTERM", "`", '"', 'http.ListenAndServe(":80", nil)\n', "flag.Duration(", "{{ .Values.x }}",
    "\ufeff", "\r\n", "-", "(", ")",
])  # fmt: skip
CSHARP = st.sampled_from([
    "options.Limits.KeepAliveTimeout = ", "TimeSpan.FromSeconds(", "TimeSpan.Parse(", "60", ")", ";", "{",
    "}", "\n", '"00:01:00"', '"', '@"', '"""', "//", "/*", "*/", "'", "\\", "const int X = ", "X",
    "if (x) {", "new(", ",", "Configuration.GetValue<int>(", "Timeout.InfiniteTimeSpan",
    "o.ShutdownTimeout = ", "\ufeff", "\r\n", "{{ x }}",
])  # fmt: skip
PROPERTIES = st.sampled_from([
    "server.tomcat.keep-alive-timeout", "server.netty.idle-timeout", "=", ": ", "60s", "\n", "\\", "\\\n",
    "#---\n", "${", "}", "a", "spring.profiles.active", "#", "!", "\r\n", "\ufeff", "PT1M", "-1",
    "{{ x }}", "<%= y %>", "  ", "---\n",
])  # fmt: skip
XML = st.sampled_from([
    "<?xml version='1.0'?>", "<Server>", "</Server>", "<Connector ", "keepAliveTimeout=", "'60'", '"60"',
    "/>", ">", "\n", "<!--", "-->", "${x:-5}", "&amp;", "&x;", "<!DOCTYPE a [", "<!ENTITY x 'y'>", "]>",
    "<Service>", "\ufeff", "<artifactId>spring-boot-starter-web</artifactId>", "<version>3.1.0</version>",
    "<exclusion>", "{{ x }}",
])  # fmt: skip
DOCKER = st.sampled_from([
    "FROM golang:1 AS build\n", "FROM ", "scratch", "\n", "RUN go build -o /app ./cmd\n",
    "COPY --from=build /app /app\n", "COPY ", ". .", 'CMD ["/app"]\n', "ARG X=1\n", "ENV A=${X}",
    "${X:-y}", "WORKDIR /src\n", "\\\n", "--from=0 ", "[",
])  # fmt: skip


def bytes_of(pieces: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Anything, and what is nearly right."""
    return st.binary(max_size=80) | st.lists(pieces, max_size=25).map("".join).map(str.encode)


class Files:
    """A tree in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.kept: dict[str, SourceText] = {}

    @property
    def listed(self) -> Sequence[str]:
        return sorted(self._files)

    def peek(self, file: str) -> bytes | None:
        return self._files[file]

    def keep(self, file: str) -> SourceText | None:
        return self.kept.setdefault(file, SourceText(file, self._files[file]))


def line_of(*words: str) -> CommandLine:
    """A command line that stands in the Dockerfile."""
    place = SourceText("Dockerfile", b"FROM x").span(0, 4)
    return CommandLine(tuple(Word(word, place) for word in words), CommandStyle.LIST, place)


def read_all(dockerfile: str, files: Mapping[str, bytes], *words: str) -> list[ProjectFragment]:
    """What the projects of an image say of a start; every span of it must fit its file."""
    source = SourceText("Dockerfile", dockerfile.encode())
    fragment: DockerfileFragment = DockerfileReader().read(source)
    tree = Files({"Dockerfile": source.data, **files})
    projects = find_projects([fragment], {"Dockerfile": source}, tree).get("Dockerfile", ())
    found = [project.read(line_of(*words), {"X": "5", "Y": None}, [80]) for project in projects]
    fragments = [one for one in found if isinstance(one, ProjectFragment)]
    for one in fragments:
        for file in tree.kept.values():
            assert_spans_fit(file, [span for span in _spans(one) if span.file == file.file])
    return fragments


def _spans(fragment: ProjectFragment) -> list[Span]:
    reads = [fragment.keep_alive, fragment.graceful_timeout, *fragment.further.values()]
    origins = [read.origin for read in reads if read is not None and not isinstance(read, Absent)]
    sites = [read.site.span for read in reads if read is not None and read.site is not None]
    return [step.span for origin in origins for step in origin.steps] + sites


@given(bytes_of(GO))
@example(
    b'import ("net/http"; "time")\nfunc main() { s := http.Server{IdleTimeout: 5 * time.Second}; s.X() }'
)
def test_any_bytes_of_go_are_read(data: bytes) -> None:
    dockerfile = 'FROM golang:1.22\nCOPY . .\nRUN go build -o /app .\nCMD ["/app"]\n'
    files = {"go.mod": b"module example.com/a\n", "main.go": b"package main\n" + data, "b.go": data}
    read_all(dockerfile, files, "/app")


@given(bytes_of(PROPERTIES), bytes_of(PROPERTIES), bytes_of(XML))
def test_any_bytes_of_spring_are_read(properties: bytes, yaml: bytes, pom: bytes) -> None:
    dockerfile = 'FROM eclipse-temurin:21\nCOPY target/a.jar a.jar\nCMD ["java", "-jar", "a.jar"]\n'
    pom = b"<artifactId>spring-boot-starter-web</artifactId>" + pom
    resources = "src/main/resources/application"
    files = {"pom.xml": pom, f"{resources}.properties": properties, f"{resources}.yml": yaml}
    read_all(dockerfile, files, "java", "-jar", "a.jar")


@given(bytes_of(CSHARP), bytes_of(PROPERTIES))
def test_any_bytes_of_dotnet_are_read(program: bytes, settings: bytes) -> None:
    dockerfile = 'FROM mcr.microsoft.com/dotnet/aspnet:8.0\nCMD ["dotnet", "A.dll"]\n'
    files = {"A.csproj": b'<Project Sdk="Microsoft.NET.Sdk.Web"/>', "P.cs": b"WebApplication" + program}
    assert read_all(dockerfile, {**files, "appsettings.json": settings}, "dotnet", "A.dll")


def connectors(source: SourceText) -> ServerXml | ReadError:
    """What a server.xml says, or why it says nothing."""
    try:
        return read_server_xml(source)
    except ReadError as error:
        return error


@given(bytes_of(XML))
def test_any_bytes_are_connectors_or_a_read_error(data: bytes) -> None:
    source = SourceText("server.xml", data)
    found = connectors(source)
    if isinstance(found, ReadError):
        assert found.line is not None
        assert found.line >= 1
    else:
        assert_spans_fit(source, found.connectors)


@given(bytes_of(PROPERTIES))
def test_any_bytes_are_properties(data: bytes) -> None:
    source = SourceText("application.properties", data)
    for document in _properties.read(source):
        assert_spans_fit(source, list(document.properties.values()))
        for found in document.properties.values():
            if found.value_span is not None:
                raw = data[found.value_span.start : found.value_span.end]
                assert raw.decode("utf-8", "replace") == found.text


@given(bytes_of(DOCKER))
def test_any_bytes_are_stages(data: bytes) -> None:
    source = SourceText("Dockerfile", data)
    for stage in read_stages(source):
        assert_spans_fit(source, [stage.base_span, *(run.place for run in stage.runs)])


def _go(data: bytes) -> object:
    return read_all(
        'FROM golang:1.22\nRUN go build -o /app .\nCMD ["/app"]\n',
        {"go.mod": b"module a\n", "main.go": b"package main\n" + data},
        "/app",
    )


def _build(data: bytes) -> object:
    return [read_build(SourceText(name, data)) for name in ("pom.xml", "build.gradle.kts")]


def _lines(data: bytes) -> object:
    return _properties.read(SourceText("application.properties", data))


def _csharp(data: bytes) -> object:
    return list(read_source(SourceText("a.cs", data)).reads(lambda _: None))


def _stages(data: bytes) -> object:
    return read_stages(SourceText("Dockerfile", b"FROM x AS y\n" + data))


def _xml(data: bytes) -> object:
    return read_server_xml(SourceText("server.xml", b"<Server>" + data + b"</Server>"))


@pytest.mark.parametrize(
    ("read", "piece"),
    [
        (_go, b"http.Server{IdleTimeout: 5 * time.Second}\n"),
        (_go, b"("),
        (_go, b"{"),
        (_go, b"const a = a + a + a\n"),
        (_go, b"var x = http.Server{IdleTimeout: x.y.z.IdleTimeout}\n"),
        (_build, b"/*"),
        (_build, b"<!--"),
        (_build, b"<exclusion>"),
        (_build, b"spring-boot-starter-"),
        (_build, b"exclude "),
        (_lines, b"a=\\\n"),
        (_lines, b"\\"),
        (_lines, b"a=${b}\n"),
        (_csharp, b"x.Limits.KeepAliveTimeout = "),
        (_csharp, b"x.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(X);\n"),
        (_csharp, b'@"'),
        (_csharp, b"@"),
        (_csharp, b"'"),
        (_csharp, b"if (("),
        (_stages, b"RUN go build \\\n"),
        (_stages, b"ENV A=$A$A\n"),
        (_stages, b"FROM y AS y\n"),
        (_stages, b"COPY --from=y a b\n"),
        (_xml, b"<Connector port='1' keepAliveTimeout='5'/>\n"),
    ],
)  # fmt: skip
def test_time_to_read_grows_with_the_file(read: Callable[[bytes], object], piece: bytes) -> None:
    """Eight times the size takes far less than the sixty-four times of a quadratic reader."""
    small, large = piece * (16_000 // len(piece)), piece * (128_000 // len(piece))
    seconds = []
    for data in (small, large):
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            read(data)
            best = min(best, time.process_time() - start)
        seconds.append(best)
    assert seconds[1] < 30 * max(seconds[0], 0.004)


def test_file_of_a_path_is_found_on_disk(tmp_path: Path) -> None:
    """The names that a project keeps are those of the walk."""
    from keepalign.readers.tree import read_tree

    (tmp_path / "Dockerfile").write_text('FROM golang:1.22\nRUN go build -o /app .\nCMD ["/app"]\n')
    (tmp_path / "go.mod").write_text("module a\n")
    (tmp_path / "main.go").write_text(
        'package main\nimport "net/http"\nfunc main() { http.ListenAndServe("", nil) }\n'
    )
    tree = read_tree([str(tmp_path)])
    assert str(tmp_path / "main.go") in tree.sources
    assert list(tree.projects) == [str(tmp_path / "Dockerfile")]
