"""Athena: what is said to it, what it costs, and that its rows come to the same verdicts."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import boto3
import pytest
import sqlglot
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto.athena.models import AthenaBackend, athena_backends
from moto.moto_api import state_manager
from sqlglot import exp
from tests.logs.engines.athena_stand_in import Known, StandIn, hive_text
from tests.logs.engines.samples import EVIDENCE, HOSTILE, OTHER, Silent, lines, read_here, split
from tests.logs.scanning import hostile_lines, whole_lines

from keepalign.errors import KeepalignError, NoAccess, NothingToRead, ReadError, UsageError
from keepalign.logs import alb, s3, session, sql
from keepalign.logs.aws_options import Athena, AwsOptions
from keepalign.logs.beside import Given
from keepalign.logs.engines import Judgement, athena
from keepalign.logs.engines._athena_api import Queries
from keepalign.logs.engines._athena_sql import (
    PATTERN,
    Span,
    Table,
    create_database,
    create_table,
    over,
    own_table,
)
from keepalign.logs.engines.athena import Estimate, Plan, plan, run
from keepalign.logs.inquiry import Inquiry, inquire
from keepalign.logs.wanted import Wanted
from keepalign.model.observation import Evidence, Judged
from keepalign.units import Duration, Instant

REGION = "eu-central-1"
ROOT = f"AWSLogs/123456789012/elasticloadbalancing/{REGION}/"
FORM = re.compile(PATTERN)
ALL = Wanted()
_numbers = count(1)


def never(_: object) -> bool:
    raise AssertionError("this is not expected to be asked")


def at_once(_: Duration) -> None:
    """No time passes."""


class Account:
    """A bucket with logs, and Athena."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        number = next(_numbers)
        self.stand_in = StandIn(url, REGION)
        self.bucket = f"athena-logs-{number}"
        self.s3 = boto3.client("s3", region_name=REGION, endpoint_url=url)
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.athena = boto3.client("athena", region_name=REGION, endpoint_url=url)
        self.options = Athena(
            session=AwsOptions(region=REGION, endpoint_url=url),
            database=f"keepalign_{number}",
            output=f"s3://{self.bucket}/results/",
        )
        started = AthenaBackend.start_query_execution

        def start(backend: AthenaBackend, query: str, *rest: object, **more: object) -> str:
            self.stand_in.start(backend, query)
            return started(backend, query, *rest, **more)  # type: ignore[arg-type] # as they came

        monkeypatch.setattr(AthenaBackend, "start_query_execution", start)

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{ROOT}"

    def put(
        self, contents: Iterable[Sequence[bytes]], *, root: str = ROOT, day: str = "2026/11/22"
    ) -> list[str]:
        """One gzip object for each list."""
        keys = []
        for number, content in enumerate(contents):
            name = (
                f"123456789012_elasticloadbalancing_{REGION}_app.lb.50dc6c495c0c9188_20261122T10{number:02d}Z"
            )
            keys.append(f"{root}{day}/{name}_10.0.0.9_{number:08x}.log.gz")
            body = gzip.compress(b"\n".join(content) + b"\n", mtime=0)
            self.s3.put_object(Bucket=self.bucket, Key=keys[-1], Body=body)
        return keys

    def run(
        self,
        wanted: Wanted = ALL,
        *,
        url: str = "",
        evidence: Evidence = EVIDENCE,
        **options: str,
    ) -> tuple[Plan, Judgement]:
        how = replace(self.options, **options)  # type: ignore[arg-type] # no session among them
        planned = plan(url or self.url, how, wanted)
        return planned, run(planned, how, wanted, evidence, confirm=never, wait=at_once)


@pytest.fixture
def account(aws: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    return Account(aws, monkeypatch)


def sure(texts: Iterable[str]) -> list[str]:
    """Without what the scan, which is quicker, or counters cannot know.

    A scan learns a target's group from its first line, so that each target is of one group here; counters
    have no type, and cannot tell that a WebSocket which was refused is no error.
    """
    apart = (text.replace(" 10.0.6.", " 10.0.5.") if OTHER in text else text for text in texts)
    return [text.replace("wss ", "h2 ", 1) for text in apart]


def plain(judged: Iterable[Judged]) -> Counter[object]:
    """Verdicts without the line, which Athena does not know."""
    return Counter((replace(one.row, line=0), one.cause, one.confidence, one.evidence) for one in judged)


def here(account: Account, tmp_path: Path, wanted: Wanted = ALL, url: str = "") -> list[Judged]:
    found = s3.objects(url or account.url, since=None, until=None, session=account.options.session)
    return read_here(found.objects, tmp_path / "here", wanted=wanted)[0]


# ── the same verdicts ────────────────────────────────────────────────────────────────────────────────


def test_athena_and_the_scan_of_this_machine_agree(account: Account, tmp_path: Path) -> None:
    texts = sure(lines(1, 1200))
    account.put(split(texts, 3))
    planned, answer = account.run()
    judged = list(answer.judged)
    assert plain(judged) == plain(here(account, tmp_path))
    assert len(judged) > 400
    (whole,) = answer.scanned
    assert (whole.lines, whole.errors, whole.fine) == (1200, len(judged), 1200 - len(judged))
    assert [statement.split("(")[0].split(" `")[0] for statement in account.stand_in.statements] == [
        "CREATE DATABASE IF NOT EXISTS",
        "CREATE EXTERNAL TABLE IF NOT EXISTS",
        "WITH alb_lines AS ",
        "WITH alb_lines AS ",
    ]
    assert [table.name for table in planned.missing] == [account.stand_in.tables[0].name]


def test_filters_of_a_call_tell_less_and_judge_the_same(account: Account, tmp_path: Path) -> None:
    account.put(split(sure(lines(5, 600)), 2))
    wanted = Wanted(target_group="orders", path="/a/*")
    told = []
    for engine in ("athena", "local"):
        rows = tmp_path / f"{engine}.jsonl"
        inquiry = Inquiry(
            words=[account.url],
            given=Given(aws=account.options.session),
            engine=engine,
            wanted=wanted,
            rows=str(rows),
            athena=account.options,
        )
        inquire(inquiry, io.BytesIO(), Silent())
        records = [json.loads(text) | {"line": 0} for text in rows.read_text("utf-8").splitlines()]
        told.append(sorted(records, key=lambda one: (one["time"], one["client"], one["request"])))
    assert told[0] == told[1] != []


def test_a_second_run_makes_nothing(account: Account) -> None:
    account.put(split(lines(2, 50), 1))
    account.run()
    account.stand_in.statements.clear()
    planned, answer = account.run()
    assert planned.missing == ()
    assert len(account.stand_in.statements) == 2
    assert list(answer.judged)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(target_group="search"),
        Wanted(path="/orders/*"),
        Wanted(since=Instant(1_795_343_400_000_000), until=Instant(1_795_343_401_000_000)),
    ],
    ids=["group", "path", "time"],
)
def test_what_is_asked_for_is_what_comes(account: Account, tmp_path: Path, wanted: Wanted) -> None:
    account.put(split(sure(lines(3, 600, hours=6)), 2))
    later = [text.replace("2026-11-22T", "2026-11-27T") for text in sure(lines(4, 60))]
    account.put(split(later, 1), day="2026/11/27")
    _, answer = account.run(wanted)
    judged = list(answer.judged)
    assert plain(judged) == plain(here(account, tmp_path, wanted))
    assert judged


def test_several_regions_are_read_together(account: Account, tmp_path: Path) -> None:
    other = ROOT.replace(REGION, "us-east-1")
    account.put(split(sure(lines(5, 100)), 1))
    account.put(split(sure(lines(6, 100)), 1), root=other)
    url = f"s3://{account.bucket}/AWSLogs/"
    planned, answer = account.run(url=url)
    assert len(planned.tables) == 2
    assert plain(answer.judged) == plain(here(account, tmp_path, url=url))


def test_a_deeper_address_reads_no_more_than_it_names(account: Account, tmp_path: Path) -> None:
    account.put(split(sure(lines(7, 100)), 1))
    account.put(split(sure(lines(8, 100)), 1), day="2026/11/23")
    url = account.url + "2026/11/23/"
    _, answer = account.run(url=url)
    assert plain(answer.judged) == plain(here(account, tmp_path, url=url))
    assert answer.scanned[0].lines == 100


def test_lines_that_the_table_cannot_read_are_counted_by_object(account: Account) -> None:
    good, bad = (text.encode() for text in lines(9, 2))
    keys = account.put([[good, b"hello"], [bad], [b"", b"x", good]])
    account.s3.put_object(Bucket=account.bucket, Key=f"{ROOT}2026/11/22/conn_log.app.lb.log", Body=b"a b c\n")
    _, answer = account.run()
    list(answer.judged)
    whole, *rejected = answer.scanned
    assert whole.lines == 3
    assert [(one.name, one.lines, one.rejected_lines) for one in rejected] == [
        (f"s3://{account.bucket}/{keys[0]}", 1, 1),
        (f"s3://{account.bucket}/{keys[2]}", 2, 2),
    ]
    assert "1 lines that Athena's table could not read" in rejected[0].rejected[0].reason


def test_logs_in_which_athena_finds_nothing_are_told(account: Account) -> None:
    account.put(split(lines(9, 5), 1))
    later = Instant(1_795_384_800_000_000)
    _, answer = account.run(Wanted(since=later))
    assert list(answer.judged) == []
    assert "no line in 1 objects" in answer.notes[-1]


def test_no_hostile_line_is_lost(account: Account) -> None:
    # An object is lines of text: one of them cannot hold a line's end.
    hostile = [line for line in HOSTILE if b"\n" not in line]
    account.put([hostile])
    _, answer = account.run(Wanted())
    judged = len(list(answer.judged))
    assert sum(one.lines for one in answer.scanned) == len(hostile)
    for one in answer.scanned:
        assert one.lines == one.errors + one.fine + one.blank + one.rejected_lines + one.continued
    assert judged == answer.scanned[0].errors


# ── a table that is there ────────────────────────────────────────────────────────────────────────────

THEIRS = {
    **dict.fromkeys(("type", "time", "elb", "client_ip"), "VARCHAR"),
    "client_port": "INTEGER",
    "target_ip": "VARCHAR",
    "target_port": "INTEGER",
    **{f"{name}_processing_time": "DOUBLE" for name in ("request", "target", "response")},
    "elb_status_code": "INTEGER",
    "target_status_code": "VARCHAR",
    **dict.fromkeys(("received_bytes", "sent_bytes"), "BIGINT"),
    **dict.fromkeys(
        (
            *("request_verb", "request_url", "request_proto", "user_agent", "ssl_cipher", "ssl_protocol"),
            *("target_group_arn", "trace_id", "domain_name", "chosen_cert_arn", "matched_rule_priority"),
            *("request_creation_time", "actions_executed", "redirect_url", "lambda_error_reason"),
            *("target_port_list", "target_status_code_list", "classification", "classification_reason"),
            "conn_trace_id",
        ),
        "VARCHAR",
    ),
}
"""The columns of Athena's guide, with the types that it gives them."""


def as_aws(line: str) -> Sequence[object] | None:
    """A line as the guide's expression takes it apart."""
    texts = alb.texts_of(line)
    if texts is None or len(texts) < 30:
        return None
    client, _, client_port = texts[3].rpartition(":")
    target, _, target_port = texts[4].rpartition(":")
    verb, rest = texts[12].split(" ", 1)
    url, _, proto = rest.rpartition(" ")

    def number(text: str) -> int | None:
        return None if text == "-" else int(text)

    return [
        *texts[:3], client, int(client_port), target, int(target_port) if target_port != "-" else None,
        *(float(text) for text in texts[5:8]), number(texts[8]), texts[9],
        number(texts[10]), number(texts[11]), verb, url, proto, *texts[13:30],
    ]  # fmt: skip


def theirs(account: Account, *, location: str = "", by: Sequence[str] = ("day",)) -> None:
    account.stand_in.glue.create_database(DatabaseInput={"Name": account.options.database})
    table = Known(account.options.database, "alb_access_logs", location or account.url, THEIRS, as_aws)
    account.stand_in.add(table, by=by)


def test_a_table_of_awss_form_is_read_alike(account: Account, tmp_path: Path) -> None:
    account.put(split(sure(lines(10, 600)), 2))
    theirs(account)
    planned, answer = account.run(table="alb_access_logs")
    judged = list(answer.judged)
    assert plain(judged) == plain(here(account, tmp_path))
    assert len(judged) > 100
    assert planned.missing == ()
    assert len(account.stand_in.statements) == 2


def test_a_table_over_more_is_read_where_asked(account: Account, tmp_path: Path) -> None:
    account.put(split(sure(lines(11, 60)), 1))
    account.put(split(sure(lines(12, 60)), 1), day="2026/11/25")
    theirs(account, by=("year", "month"))
    url = account.url + "2026/11/22/"
    planned, answer = account.run(url=url, table="alb_access_logs")
    assert plain(answer.judged) == plain(here(account, tmp_path, url=url))
    assert planned.estimate.objects == 2
    assert "not partitioned by day" in answer.notes[0]


def test_a_table_of_other_logs_or_another_form_is_refused(account: Account) -> None:
    account.put(split(lines(13, 10), 1))
    theirs(account, location="s3://elsewhere/logs/")
    with pytest.raises(UsageError, match="not over these logs"):
        account.run(table="alb_access_logs")
    with pytest.raises(UsageError, match="there is no table"):
        account.run(table="nothing")
    columns = {"type": "VARCHAR", "time": "VARCHAR"}
    account.stand_in.add(Known(account.options.database, "small", account.url, columns, as_aws))
    with pytest.raises(UsageError, match="lacks the columns client_ip"):
        account.run(table="small")


# ── before anything is spent ─────────────────────────────────────────────────────────────────────────


def test_the_cost_is_told_and_asked_for(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.put(split(lines(14, 20), 1))
    monkeypatch.setattr(athena, "ASK_ABOVE", 19_999_999)
    planned = plan(account.url, account.options, Wanted())
    asked: list[str] = []

    def answers(yes: bool) -> Callable[[Estimate], bool]:
        def answer(estimate: Estimate) -> bool:
            asked.append(str(estimate))
            return yes

        return answer

    with pytest.raises(UsageError, match="nobody agreed"):
        run(planned, account.options, Wanted(), EVIDENCE, confirm=answers(False), wait=at_once)
    assert account.stand_in.statements == []
    assert asked[0].startswith("Athena: 2 queries over about ")
    assert "less than $0.01 ($5 per TB scanned" in asked[0]
    answer = run(planned, account.options, Wanted(), EVIDENCE, confirm=answers(True), wait=at_once)
    assert list(answer.judged)


def test_only_the_days_asked_for_are_in_the_estimate(account: Account) -> None:
    account.put(split(lines(15, 20), 1))
    account.put(split(lines(15, 20), 4), day="2026/11/29")
    since, until = Instant(1_795_341_600_000_000), Instant(1_795_345_200_000_000)
    planned = plan(account.url, account.options, Wanted(since=since, until=until))
    assert planned.estimate.objects == 1
    assert planned.statements(Wanted())[0].count("day >= '2026/11/22' AND day <= '2026/11/22'") == 1


def test_an_address_below_a_day_still_costs_whole_days(account: Account) -> None:
    account.put(split(lines(15, 40), 4))
    (other,) = account.put(split(lines(15, 20), 1), day="2026/11/29")
    url = f"s3://{account.bucket}/{other}"
    planned = plan(url, account.options, Wanted())
    assert planned.estimate.objects == 1
    for statement in planned.statements(Wanted()):
        assert "day >= '2026/11/29' AND day <= '2026/11/29'" in statement
        assert f"strpos(\"$path\", '{url}') = 1" in statement
    url = f"{account.url}2026/11/22/{other.rpartition('/')[2]}"
    assert plan(url, account.options, Wanted()).estimate.objects == 4


def test_a_terabyte_has_its_price() -> None:
    assert "about $5.00 (" in str(Estimate(1000, 500_000_000_000))


def workgroup(account: Account, **configuration: object) -> str:
    name = f"group-{next(_numbers)}"
    account.athena.create_work_group(Name=name, Configuration=configuration)
    return name


def test_the_workgroups_limit_is_kept(account: Account) -> None:
    account.put(split(lines(16, 10), 1))
    some = workgroup(account, BytesScannedCutoffPerQuery=10_000_000)
    account.run(workgroup=some)
    (key,) = account.put([[]], day="2026/11/23")
    account.s3.put_object(Bucket=account.bucket, Key=key, Body=bytes(10_000_000))
    with pytest.raises(
        UsageError, match=r"cuts off queries at 10\.0 MB; these would scan about 10\.0 MB"
    ) as caught:
        account.run(workgroup=some)
    assert "--since" in caught.value.hint


def test_results_need_a_place(account: Account) -> None:
    account.put(split(lines(17, 10), 1))
    with pytest.raises(UsageError, match="no place for results"):
        plan(account.url, replace(account.options, output=""), Wanted())
    place = {"OutputLocation": f"s3://{account.bucket}/theirs/"}
    name = workgroup(account, ResultConfiguration=place, EnforceWorkGroupConfiguration=True)
    account.run(workgroup=name, output="")
    with pytest.raises(UsageError, match="insists on its own"):
        account.run(workgroup=name)
    with pytest.raises(UsageError, match="no S3 address"):
        account.run(output="/tmp")


def test_what_a_table_cannot_be_over_is_told(account: Account) -> None:
    with pytest.raises(NothingToRead):
        account.run()
    account.s3.put_object(Bucket=account.bucket, Key="flat/a.log", Body=b"x")
    with pytest.raises(NothingToRead, match="folders by day"):
        account.run(url=f"s3://{account.bucket}/flat/")
    with pytest.raises(UsageError, match="whole folders"):
        account.run(url=account.url + "*.gz")
    account.put([[b"x"]], root="it's/" + ROOT)
    with pytest.raises(UsageError, match="plain characters"):
        account.run(url=f"s3://{account.bucket}/it's/")


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────


def test_ctrl_c_cancels_what_runs(account: Account) -> None:
    account.put(split(lines(18, 10), 1))
    account.run()
    planned = plan(account.url, account.options, Wanted())
    before = set(athena_backends["123456789012"][REGION].executions)

    def interrupted(_: Duration) -> None:
        raise KeyboardInterrupt

    state_manager.set_transition("athena::execution", {"progression": "manual", "times": 3})
    with pytest.raises(KeyboardInterrupt):
        run(planned, account.options, Wanted(), EVIDENCE, confirm=never, wait=interrupted)
    state_manager.unset_transition("athena::execution")
    executions = athena_backends["123456789012"][REGION].executions
    assert [executions[one].status for one in executions if one not in before] == ["CANCELLED"] * 2


OPTIONS = Athena(session=AwsOptions(region=REGION, endpoint_url="http://127.0.0.1:9"))


def status(state: str, reason: str = "", scanned: int = 0) -> dict[str, object]:
    return {
        "QueryExecution": {
            "Status": {"State": state, "StateChangeReason": reason},
            "Statistics": {"DataScannedInBytes": scanned},
        }
    }


@pytest.mark.usefixtures("aws_environment")
def test_a_query_is_looked_at_ever_more_rarely() -> None:
    waits: list[Duration] = []
    with Stubber(session.client("athena", OPTIONS.session)) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "1"})
        for state in ("QUEUED", *["RUNNING"] * 5):
            stub.add_response("get_query_execution", status(state))
        stub.add_response("get_query_execution", status("SUCCEEDED", scanned=7))
        queries = Queries(OPTIONS, waits.append)
        assert queries.wait_for([queries.start("SELECT 1")]) == 7
    assert [wait.seconds for wait in waits] == [0.25, 0.5, 1, 2, 2, 2]


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize(
    ("state", "reason", "kind", "says"),
    [
        ("FAILED", "SYNTAX_ERROR: line 1", ReadError, "failed: SYNTAX_ERROR"),
        ("FAILED", "Access Denied (Service: Amazon S3; Status Code: 403)", NoAccess, "may not"),
        ("FAILED", "Insufficient permissions to execute the query", NoAccess, "may not"),
        ("CANCELLED", "Query cancelled! : Bytes scanned limit was exceeded", ReadError, "limit ended it"),
        ("CANCELLED", "", ReadError, "was cancelled: no reason"),
    ],
)
def test_a_query_that_fails_says_why(state: str, reason: str, kind: type[ReadError], says: str) -> None:
    with Stubber(session.client("athena", OPTIONS.session)) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "0123"})
        stub.add_response("get_query_execution", status(state, reason))
        queries = Queries(OPTIONS, at_once)
        with pytest.raises(kind, match=says) as caught:
            queries.wait_for([queries.start("SELECT 1")])
        queries.cancel()  # asks for nothing: it has ended
    assert type(caught.value) is kind
    assert caught.value.file == "Athena workgroup primary, query 0123"


@pytest.mark.usefixtures("aws_environment")
def test_answers_come_in_pages() -> None:
    def page(*rows: Sequence[str | None], more: str = "") -> dict[str, object]:
        data = [{"Data": [{} if one is None else {"VarCharValue": one} for one in row]} for row in rows]
        return {"ResultSet": {"Rows": data}, **({"NextToken": more} if more else {})}

    names = list(sql.COUNT_COLUMNS)
    with Stubber(session.client("athena", OPTIONS.session)) as stub:
        stub.add_response("get_query_results", page(names, ["a", None], more="2"))
        stub.add_response("get_query_results", page(["b", ""]))
        assert list(Queries(OPTIONS, at_once).rows("1")) == [["a", None], ["b", ""]]


@pytest.mark.usefixtures("aws_environment")
def test_a_workgroup_that_may_not_be_used_names_the_action() -> None:
    with Stubber(session.client("athena", OPTIONS.session)) as stub:
        stub.add_client_error("start_query_execution", "AccessDeniedException", "no", 400)
        with pytest.raises(NoAccess) as caught:
            Queries(OPTIONS, at_once).start("SELECT 1")
    assert "athena:StartQueryExecution" in caught.value.hint


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────


def fields_of(line: str) -> list[str | None]:
    texts: list[str | None] = [*(alb.texts_of(line) or ())][: len(alb.FIELDS)]
    return texts + [None] * (len(alb.FIELDS) - len(texts))


@given(whole_lines)
def test_the_tables_form_takes_a_line_apart_as_the_log_means_it(line: bytes) -> None:
    text = line.decode()
    for more in ("", ' "h" "u" "s"', ' "h" "u" "s" 10.0.0.9', ' "h" "u" "s" 10.0.0.9 new "and newer"', " "):
        found = FORM.fullmatch(text + more)
        assert found is not None
        assert list(found.groups()) == fields_of(text + more)


@given(hostile_lines)
def test_the_tables_form_never_takes_a_line_apart_otherwise(line: bytes) -> None:
    text = line.decode("utf-8", "backslashreplace")
    found = FORM.fullmatch(text)
    if found is not None and alb.texts_of(text) is not None:
        assert list(found.groups()) == fields_of(text)


def test_the_tables_form_is_the_same_behind_hives_quoting() -> None:
    made = create_table(own_table("keepalign", "s3://logs/a/"))
    literal = re.search(r"'input\.regex' = '((?:[^'\\]|\\.)*)'", made)
    assert literal is not None
    assert hive_text(literal[1]) == PATTERN


SPAN = Span.around(Instant(1_795_341_600_000_000), Instant(1_795_345_200_000_000))


DAYS = ("2026/11/22", "2026/11/23")


@pytest.mark.parametrize("dialect", ["athena", "trino"])
@pytest.mark.parametrize("columns", [(), THEIRS], ids=["ours", "theirs"])
@pytest.mark.parametrize("span", [SPAN, Span()], ids=["hours", "all"])
def test_queries_are_athenas_and_trinos(dialect: str, columns: Sequence[str], span: Span) -> None:
    tables = [Table("db", name, f"s3://logs/{name}/", tuple(columns)) for name in ("a", "b")]
    for text in (sql.counts(), sql.errors(Wanted(path="/x", target_group="orders"))):
        query = over(tables, span, text, within=("s3://logs/a/", "s3://logs/b/c"), days=DAYS)
        (statement,) = sqlglot.parse(query, read=dialect)
        assert isinstance(statement, exp.Select)
        named = {(table.db, table.name) for table in statement.find_all(exp.Table)}
        assert named == {("", "alb_lines"), ("db", "a"), ("db", "b")}


@pytest.mark.parametrize("dialect", ["athena", "hive"])
def test_tables_are_made_in_athenas_and_hives_words(dialect: str) -> None:
    table = own_table("keepalign", "s3://logs/" + ROOT)
    for text in (create_database("keepalign"), create_table(table)):
        (statement,) = sqlglot.parse(text, read=dialect)
        assert isinstance(statement, exp.Create)
        assert statement.args["exists"]


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "'",
            "\\'",
            "a'; DROP TABLE x; --",
            '"',
            '"; x',
            "`",
            "a`b",
            "${hiveconf:x}",
            "*/",
            "a\nb",
            "é",
            "' OR 1=1",
        ]
    ),
    st.from_regex(r"[a-z_'\"`;\\-]{1,12}", fullmatch=True),
)


@given(hostile, hostile, hostile)
def test_no_name_says_anything_of_its_own(database: str, table: str, place: str) -> None:
    """Either it is refused, or each text is one statement about this table and no other."""
    for location in (place, f"s3://logs/{place}", f"s3://{place}/logs/"):
        try:
            made = Table(database, table, location)
            texts = [create_database(database), create_table(made)]
            queries = [over([made], SPAN, sql.counts(), within=(location,), days=DAYS)]
        except UsageError:
            continue
        for text in texts:
            (statement,) = sqlglot.parse(text, read="hive")
            assert isinstance(statement, exp.Create)
        for text in queries:
            (statement,) = sqlglot.parse(text, read="trino")
            assert isinstance(statement, exp.Select)
            named = {(one.db, one.name) for one in statement.find_all(exp.Table)}
            assert named == {("", "alb_lines"), (database, table)}


@given(hostile, hostile)
def test_no_filter_says_anything_of_its_own(path: str, group: str) -> None:
    tables = [Table("db", "a", "s3://logs/a/")]
    for span in (SPAN, Span()):
        query = over(tables, span, sql.errors(Wanted(path=path, target_group=group)), days=DAYS)
        (statement,) = sqlglot.parse(query, read="trino")
        assert isinstance(statement, exp.Select)
        shape = {type(node) for node in statement.walk()}
        assert not shape & {exp.Drop, exp.Insert, exp.Union} - {exp.Union}
        assert {one.name for one in statement.find_all(exp.Table)} == {"alb_lines", "a"}


@given(hostile)
def test_no_day_says_anything_of_its_own(day: str) -> None:
    with pytest.raises(UsageError):
        over([Table("db", "a", "s3://logs/a/")], SPAN, sql.counts(), days=("2026/11/22", day))


@given(hostile)
def test_every_bad_address_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(KeepalignError):
        plan(url, OPTIONS, Wanted())
