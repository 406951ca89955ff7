"""The text for Trino: one statement each, in its dialect."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from keepalign.errors import UsageError
from keepalign.logs import sql
from keepalign.logs.engines.trino import script, statements
from keepalign.logs.wanted import Wanted
from keepalign.units import Instant

PLACE = "s3://logs/AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/11/22/"


def test_statements_parse_as_trino() -> None:
    found = statements(PLACE, Wanted(since=Instant(0), target_group="orders"))
    kinds = []
    for statement in found:
        (parsed,) = sqlglot.parse(statement, dialect="trino")
        assert parsed is not None
        kinds.append(type(parsed))
        assert not [node for node in parsed.walk() if isinstance(node, exp.Command)]
    assert kinds == [exp.Create] * 3 + [exp.Select] * 3


def test_view_has_the_columns_of_the_shared_text() -> None:
    (view,) = sqlglot.parse(statements(PLACE)[1], dialect="trino")
    assert isinstance(view, exp.Create)
    assert tuple(view.expression.named_selects) == sql.ERROR_COLUMNS


def test_shared_text_is_unchanged() -> None:
    wanted = Wanted(path="/orders")
    *_, files, counts, errors = statements(PLACE, wanted, schema="logs")
    assert files == sql.files(table="logs.alb_lines")
    assert counts == sql.counts(wanted, table="logs.alb_lines")
    assert errors == sql.errors(wanted, table="logs.alb_lines")


def test_script_is_the_statements() -> None:
    text = script(PLACE)
    assert [one.sql() for one in sqlglot.parse(text, dialect="trino") if one is not None]
    for statement in statements(PLACE):
        assert f"\n{statement};\n" in text


@pytest.mark.parametrize("place", ["s3://a'; DROP TABLE x --", "s3://a\\", "s3://a\n", "s3://ä"])
def test_location_cannot_end_its_literal(place: str) -> None:
    with pytest.raises(UsageError):
        statements(place)
    with pytest.raises(UsageError):
        statements(PLACE, schema="a; DROP TABLE b")
