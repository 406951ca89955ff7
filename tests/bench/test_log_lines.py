"""The logs that speed is measured on."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from bench.log_lines import ERRORS, STORM, make

from keepalign.logs import alb
from keepalign.logs.objects import Kind, kind_by_name
from keepalign.model.observation import LogRow


@pytest.mark.parametrize("errors", [ERRORS, STORM])
def test_lines_are_of_the_balancers_form_in_the_shares_that_are_promised(
    errors: float, tmp_path: Path
) -> None:
    (path,) = make(tmp_path, lines=4000, files=1, errors=errors, workers=1)
    assert kind_by_name(str(path)) is Kind.ALB
    lines = gzip.decompress(path.read_bytes()).splitlines()
    rows = [row for line in lines if isinstance(row := alb.read_line(line), LogRow)]
    assert len(rows) == len(lines) == 4000
    fields = Counter(len(alb.tokens(line.decode())) for line in lines)
    assert set(fields) == {29, 30, 33}
    assert 0.75 < fields[33] / 4000 < 0.85
    assert 0.06 < fields[29] / 4000 < 0.10
    assert 0.10 < sum(":" in (row.client or "") for row in rows) / 4000 < 0.14
    assert errors * 0.5 < sum(row.to_judge for row in rows) / 4000 < errors * 1.5
    assert {row.time.us // 300_000_000 for row in rows} == {rows[0].time.us // 300_000_000}
    assert 560 < sum(map(len, lines)) / 4000 < 760


def test_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    one, other = (make(tmp_path / name, lines=2500, files=2, workers=1) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert one[0].read_bytes() != one[1].read_bytes()
