"""The statement that makes Athena's table, run by Hive: its own RegexSerDe, Java's regular expressions."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.logs.engines import hive_stand_in
from tests.logs.engines.samples import HOSTILE, NAME, lines

from keepalign.logs.engines._athena_sql import PATTERN, create_database, create_table, own_table

ROOT = Path(__file__).parents[3]


@pytest.mark.lab
@pytest.mark.slow
def test_hive_reads_the_lines_as_the_tests_here_do(tmp_path: Path) -> None:
    place = "s3://logs/"
    table = create_table(own_table("keepalign", place)).replace(place, f"file:{tmp_path}/")
    (tmp_path / "tables.sql").write_text(f"{create_database('keepalign')};\n{table}", "utf-8")
    # Text that is no UTF-8 becomes other characters in Java than here; a line ends at \r there.
    hostile = [line for line in HOSTILE if line.isascii() and b"\r" not in line]
    logged = [*(line.encode() for line in lines(1, 300)), *hostile]
    day = tmp_path / "2026/11/22"
    day.mkdir(parents=True)
    name = NAME.format("20261122T1005Z", "1") + ".gz"
    (day / name).write_bytes(gzip.compress(b"\n".join(logged) + b"\n"))
    answer = subprocess.run(
        [sys.executable, str(hive_stand_in.__file__), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:].decode()
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    form = re.compile(PATTERN)
    expected = [
        list(found.groups()) if (found := form.fullmatch(line.decode())) else [None] * 34 for line in logged
    ]
    assert rows == expected
    assert sum(row[0] is not None for row in rows) > 310
