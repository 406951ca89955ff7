"""The shared SQL: portable by an allow-list, harmless by construction, and right by what DuckDB answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp
from tests.logs.lines import GROUP, line, row

from keepalign.errors import UsageError
from keepalign.logs import alb, sql
from keepalign.logs.wanted import Wanted
from keepalign.model.observation import LogRow
from keepalign.units import Instant

DIALECTS = ("duckdb", "spark", "trino", "athena")
WANTED = Wanted(Instant(1_795_341_662_500_000), Instant(1_795_345_262_500_001), "orders", "/orders*")
ALLOWED = {
    *("Select", "From", "Table", "Where", "Group", "Order", "Ordered", "Star", "Null"),
    *("Alias", "Column", "Identifier", "Literal", "Paren", "And", "Or", "Not", "Is", "In"),
    *("EQ", "LT", "GT", "GTE", "Case", "If"),
    *("Substring", "StrPosition", "Concat", "Replace"),
    *("Count", "Min", "Max", "Sum"),
}
"""sqlglot's names of what all engines mean the same by."""
TEXTS = {
    "errors": sql.errors(),
    "errors wanted": sql.errors(WANTED),
    "errors unordered": sql.errors(ordered=False),
    "counts": sql.counts(),
    "counts wanted": sql.counts(WANTED),
    "files": sql.files(),
}


def nodes(text: str, dialect: str) -> list[exp.Expr]:
    parsed = sqlglot.parse(text, dialect=dialect)
    assert len(parsed) == 1
    assert isinstance(parsed[0], exp.Select)
    return list(parsed[0].walk())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", TEXTS)
def test_shared_text_holds_nothing_but_what_every_engine_knows(name: str, dialect: str) -> None:
    found = nodes(TEXTS[name], dialect)
    assert {type(node).__name__ for node in found} <= ALLOWED
    # An ordinal, not a name: engines differ in whether GROUP BY sees aliases.
    for node in found:
        if isinstance(node, exp.Group):
            assert all(isinstance(one, exp.Literal) for one in node.expressions)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT CAST(time AS TIMESTAMP) FROM alb_lines",
        "SELECT regexp_like(request, 'a') FROM alb_lines",
        "SELECT elb, COUNT(*) FROM alb_lines GROUP BY ALL",
        "SELECT elb // 2 FROM alb_lines",
        "SELECT lpad(elb, 2, '0') FROM alb_lines",
        "SELECT COUNT(*) FILTER (WHERE elb = 'x') FROM alb_lines",
        "SELECT date_trunc('minute', elb) FROM alb_lines",
    ],
)
def test_allow_list_refuses_what_engines_do_not_share(text: str) -> None:
    found = nodes(text, "duckdb")
    kinds = {type(node).__name__ for node in found}
    types = {str(node.this) for node in found if isinstance(node, exp.DataType)}
    grouped = [node for node in found if isinstance(node, exp.Group) and not node.expressions]
    assert kinds - ALLOWED or types - {"DType.DOUBLE"} or grouped


@pytest.fixture(scope="module")
def lines() -> Iterator[duckdb.DuckDBPyConnection]:
    """`alb_lines` with every status, sent and unsent, and odd fields."""
    with duckdb.connect(config={"threads": 1}) as connection:
        columns = ", ".join(f"{name} VARCHAR" for name in sql.COLUMNS)
        connection.execute(f"CREATE TABLE alb_lines (file VARCHAR, line BIGINT, {columns})")
        places = ", ".join("?" for _ in sql.ERROR_COLUMNS)
        connection.executemany(
            f"INSERT INTO alb_lines VALUES ({places})",
            [["a.log", number, *columns_of(text)] for number, text in enumerate(samples(), 1)],
        )
        yield connection


def columns_of(text: str) -> list[str | None]:
    texts = alb.texts_of(text)
    assert texts is not None
    return [*texts, *[None] * (len(sql.COLUMNS) - len(texts))]


def samples() -> list[str]:
    found = []
    for status in (
        *range(0, 600, 7),
        0,
        400,
        401,
        403,
        405,
        408,
        413,
        414,
        460,
        463,
        464,
        500,
        502,
        503,
        504,
        561,
    ):
        for target in ("-", f"{status:03d}"):
            for kind in ("http", "ws", "wss", "h2"):
                place = "-" if status == 503 else "10.0.0.1:80"
                for times in ("-1 -1 -1", "0.001 4.205 -1"):
                    found.append(line(f"{times} {status:03d} {target}", kind=kind, target=place))
    plain = line("0.001 0.000 -1 502 -", at=62.5)
    found += [
        plain.replace("10:01:02.500000Z app", "10:01:02.5Z app"),
        plain.replace("10:01:02.500000Z app", "10:01:02Z app"),
        plain.replace("10:01:02.500000Z app", "10:01:02.500000999Z app"),
        plain.replace("10:01:02.500000Z app", "10:01:02.499999999Z app"),
        plain.replace(GROUP, "-"),
        plain.replace("/orders?", "/other?"),
        " ".join(plain.split(" ")[:12]),
        plain.replace("2026-11-22T10:01:02.500Z", "garbage"),
        plain.replace("2026-11-22T10:01:02.500Z", "2026-11-21T23:59:59.900Z"),
    ]
    return found


def test_errors_are_what_the_judge_wants(lines: duckdb.DuckDBPyConnection) -> None:
    expected = [number for number, text in enumerate(samples(), 1) if row(text).to_judge]
    found = {answer[1] for answer in lines.execute(sql.errors()).fetchall()}
    assert found == set(expected)
    assert 100 < len(expected) < len(samples())


def test_errors_come_in_the_order_of_windows(lines: duckdb.DuckDBPyConnection) -> None:
    rows = found_by(lines, sql.errors())
    assert rows == sorted(
        rows, key=lambda one: (one.elb, one.target_group or "", one.time, one.file, one.line)
    )
    assert len({one.time for one in rows}) > 3


def found_by(connection: duckdb.DuckDBPyConnection, text: str) -> list[LogRow]:
    answers = connection.execute(text).fetchall()
    return [alb.row_of_texts(texts, file=file, number=number) for file, number, *texts in answers]


instants = st.sampled_from([0, -1, 62_499_999, 62_500_000, 62_500_001, 10**12, 10**18, -(10**18)]).map(
    lambda after: Instant(1_795_341_600_000_000 + after if abs(after) < 10**12 else after)
)
hostile = st.text() | st.sampled_from(
    [
        "' OR '1'='1",
        "\\' OR 1=1 --",
        "x'; DROP TABLE alb_lines; --",
        "orders",
        GROUP,
        "/orders",
        "/o*",
        "/[o]*",
        "${x}",
    ]
)


@given(
    st.builds(Wanted, st.none() | instants, st.none() | instants, hostile, hostile),
    st.sampled_from([sql.errors, sql.counts]),
)
def test_no_filter_changes_the_shape_of_a_statement(wanted: Wanted, which: Callable[[Wanted], str]) -> None:
    """Whatever is asked for: one SELECT, and of every literal nothing gets out."""
    text = which(wanted)
    assert all(char not in text for char in '\\;`${}"\n')
    assert "--" not in text.replace(sql.literal(wanted.path), "").replace(
        sql.literal(wanted.target_group), ""
    )
    shapes = set()
    for dialect in DIALECTS:
        found = nodes(text, dialect)
        assert {type(node).__name__ for node in found} <= ALLOWED
        shapes.add(tuple(str(node.this) for node in found if isinstance(node, exp.Literal)))
    assert len(shapes) == 1


@given(wanted=st.builds(Wanted, st.none() | instants, st.none() | instants, hostile, hostile))
def test_no_row_that_is_wanted_is_filtered_out(lines: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    everything = [one for one in found_by(lines, sql.errors()) if wanted.keeps(one)]
    filtered = [one for one in found_by(lines, sql.errors(wanted)) if wanted.keeps(one)]
    assert filtered == everything


def test_filters_spare_what_is_not_asked_for(lines: duckdb.DuckDBPyConnection) -> None:
    everything, fewer = found_by(lines, sql.errors()), found_by(lines, sql.errors(WANTED))
    assert 0 < len(fewer) < len(everything)
    assert all(one.target_group == GROUP and one.path == "/orders" for one in fewer)
    assert all(WANTED.keeps(one) for one in fewer)


def test_counters_are_those_of_the_lines(lines: duckdb.DuckDBPyConnection) -> None:
    counts, groups = sql.tally(lines.execute(sql.counts()).fetchall())
    expected = Counter(
        (words[2], sql.minute_of(words[1][:16]), words[4], words[8], words[9])
        for words in (text.split(" ") for text in samples())
    )
    assert counts == expected
    assert groups == {("app/lb/50dc6c495c0c9188", target, GROUP) for target in ("10.0.0.1:80", "-")}


def test_counters_reach_an_hour_around_what_is_wanted(lines: duckdb.DuckDBPyConnection) -> None:
    hour = 3_600_000_000
    at = Instant(1_795_341_600_000_000)
    for since, found in ((at, True), (Instant(at.us + hour), True), (Instant(at.us + 2 * hour), False)):
        answer = lines.execute(sql.counts(Wanted(since=since))).fetchall()
        assert bool(answer) is found
    for until, found in ((at, True), (Instant(at.us - hour + 1), True), (Instant(at.us - hour), False)):
        answer = lines.execute(sql.counts(Wanted(until=until))).fetchall()
        assert bool(answer) is found


def test_files_are_accounted_for(lines: duckdb.DuckDBPyConnection) -> None:
    ((file, count, errors, first, last),) = lines.execute(sql.files()).fetchall()
    assert (file, count) == ("a.log", len(samples()))
    assert errors == sum(row(text).to_judge for text in samples())
    assert (first[:16], last[:16]) == ("2026-11-22T10:01", "2026-11-22T10:01")


@pytest.mark.parametrize("name", ["", "a b", "x; DROP TABLE y", "a.b.c.d", "1a", 'x"', "ä"])
def test_table_has_to_be_a_plain_name(name: str) -> None:
    for text in (sql.errors, sql.counts):
        with pytest.raises(UsageError) as found:
            text(table=name)
        assert "plain name" in found.value.message
    with pytest.raises(UsageError):
        sql.files(table=name)


def test_stamps_stay_within_the_years_of_a_log() -> None:
    assert sql.stamp(Instant(1_795_341_662_500_000)) == "2026-11-22T10:01:02.500000"
    assert sql.stamp(Instant(-(10**20))).startswith("0001-01-01")
    assert sql.stamp(Instant(10**20)).startswith("9999-12-31")


def test_minutes_are_read_back() -> None:
    assert sql.minute_of("1970-01-01T01:01") == 61
    with pytest.raises(ValueError, match="no minute"):
        sql.minute_of("1970-01-01")
