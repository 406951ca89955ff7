"""alb_lines(): the one door to all formats."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.logs.formats.test_classic import HTTP
from tests.logs.formats.test_json import ONE, ROW
from tests.logs.formats.written import lines, row_of

from keepalign.errors import ReadError
from keepalign.logs.formats import alb_lines
from keepalign.logs.objects import Kind


def test_path_and_stream_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "vended.json"
    path.write_text(f"{ONE}\n{ONE}\n")
    assert lines(path, Kind.ALB_JSON) == lines(path.read_bytes(), Kind.ALB_JSON)
    assert [row_of(text) for _, text in lines(path, Kind.ALB_JSON)[0]] == [ROW, ROW]
    path.write_text(HTTP)
    assert len(lines(path, Kind.CLASSIC)[0]) == 1


@pytest.mark.parametrize("kind", [Kind.ALB_JSON, Kind.CLASSIC, Kind.PARQUET])
def test_path_that_cannot_be_opened_is_an_error_with_its_name(tmp_path: Path, kind: Kind) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ReadError) as caught:
            list(alb_lines(path, kind, file="shown.log"))
        assert caught.value.file == "shown.log"


def test_kind_without_lines_is_an_error() -> None:
    with pytest.raises(ReadError, match="health check log is not to be turned into lines"):
        list(alb_lines(io.BytesIO(), Kind.HEALTH, file="a.log"))


def test_empty_source_has_no_lines() -> None:
    for kind in (Kind.ALB_JSON, Kind.CLASSIC):
        assert lines(b"", kind) == ([], [])
