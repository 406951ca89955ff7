"""All stages of a Dockerfile: bases, what RUN runs where, what COPY takes from whom."""

from __future__ import annotations

import pytest

from keepalign.model.source import SourceText
from keepalign.readers._stages import Copy, Stage, read_stages, stage_of


def stages(text: str) -> tuple[Stage, ...]:
    return read_stages(SourceText("Dockerfile", text.encode()))


def test_every_stage_has_its_own() -> None:
    build, last = stages(
        "ARG GO=1.22\nFROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS Build\nWORKDIR /src\nCOPY . .\n"
        "RUN --mount=type=cache,target=/x \\\n  go build -o /out/app ./cmd/${SERVICE:-api}\n"
        "FROM scratch\nCOPY --chown=1:1 --from=build /out/app ./bin/\n"
    )
    assert (build.name, build.base, last.name, last.base) == ("build", "golang:1.22-alpine", "", "scratch")
    (run,) = build.runs
    assert run.workdir == "/src"
    assert run.text.endswith("go build -o /out/app ./cmd/api")
    assert build.copies == (Copy((".",), "/src/"),)
    assert last.copies == (Copy(("/out/app",), "/bin/", "build"),)
    assert stage_of((build, last), "BUILD") is build
    assert stage_of((build, last), "0") is build
    assert stage_of((build, last), "7") is None
    assert stage_of((build, last), "alpine:3") is None


def test_stage_of_the_same_file_is_inherited() -> None:
    _, last = stages("FROM golang:1 AS base\nWORKDIR /app\nENV A=b\nRUN one\nFROM base\nRUN two $A\n")
    assert last.base == "golang:1"
    assert [(run.text, run.workdir) for run in last.runs] == [("one", "/app"), ("two b", "/app")]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("COPY a ./server", "/w/server"),
        ("COPY a .", "/w/"),
        ("COPY a /opt/../x/", "/x/"),
        ('COPY ["a", "b c", "/d/"]', "/d/"),
    ],
)
def test_target_of_a_copy_is_a_whole_path(text: str, target: str) -> None:
    ((copy,),) = [one.copies for one in stages(f"FROM x\nWORKDIR /w\n{text}\n")]
    assert copy.target == target
