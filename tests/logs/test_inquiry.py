"""A whole call: files, folders, standard input and evidence → one Diagnosis; nothing is lost on the way."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.logs.engines.samples import lines, split, write
from tests.logs.lines import GROUP, line

from keepalign.errors import ReadError
from keepalign.logs import alb, sources
from keepalign.logs.beside import Given
from keepalign.logs.cache import Cache
from keepalign.logs.inquiry import Inquiry, inquire
from keepalign.logs.objects import Kind
from keepalign.logs.wanted import Wanted
from keepalign.logs.witness.files import Witness
from keepalign.model.diagnosis import Diagnosis
from keepalign.model.observation import LogRow, Timers
from keepalign.units import Duration, Instant

NAME = (
    "123456789012_elasticloadbalancing_eu-central-1_app.lb.50dc6c495c0c9188_20261122T1005Z_10.0.1.2_{}.log.gz"
)
STALE = "backend-keepalive-below-lb-idle"
IDLE = "lb-idle-below-response-time"
STACK = """
resource "aws_lb" "lb" {
  name         = "lb"
  idle_timeout = 60
}
resource "aws_lb_target_group" "orders" {
  name                 = "orders"
  port                 = 80
  deregistration_delay = 30
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.lb.arn
  port              = 80
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.orders.arn
  }
}
"""
START = Instant(1_795_341_600_000_000)  # 2026-11-22T10:00Z


class Watch:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.read: list[int] = []
        self.size = -1

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def agreed(self, question: str) -> bool:
        return False

    @contextmanager
    def reading(self, size: int) -> Iterator[Callable[[int], None]]:
        self.size = size
        yield self.read.append


def log(minute: int, *, fine: int = 20, errors: int = 2) -> bytes:
    """Lines of one minute: stale re-use now and then, and one target that is silent for 60 s."""
    texts = [
        line("0.001 0.020 0.000 200 200", at=minute * 60 + n, target=f"10.0.0.{n % 2 + 1}:80")
        for n in range(fine)
    ]
    texts += [
        line("0.000 0.001 -1 502 -", at=minute * 60 + 20 + n, target=f"10.0.0.{n % 2 + 1}:80")
        for n in range(errors)
    ]
    texts += [line("0.001 -1 -1 504 -", at=minute * 60 + 40, elapsed=60.001)]
    return "".join(f"{one}\n" for one in texts).encode()


def folder_of(root: Path, files: int) -> Path:
    """A folder as S3 would have it: gz files with their names."""
    place = root / "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/11/22"
    place.mkdir(parents=True)
    for n in range(files):
        (place / NAME.format(f"abc{n}")).write_bytes(gzip.compress(log(n)))
    return root


def call(*words: str, stdin: bytes = b"", watch: Watch | None = None, **more: object) -> Diagnosis:
    """One call without a cache."""
    inquiry = Inquiry(words=words, **more)  # type: ignore[arg-type]  # of Inquiry's own fields
    return inquire(inquiry, io.BytesIO(stdin), watch or Watch())


def by_cause(diagnosis: Diagnosis) -> dict[str, int]:
    return {group.cause: group.number for group in diagnosis.groups}


def balanced(diagnosis: Diagnosis) -> bool:
    """Whether every line went somewhere."""
    return all(
        one.accounting.lines
        == one.accounting.judged
        + one.accounting.fine
        + one.accounting.rejected
        + one.accounting.blank
        + one.accounting.continued
        for one in diagnosis.files
    )


def test_folder_of_logs_is_read_whole_and_progress_goes_to_its_end(tmp_path: Path) -> None:
    watch = Watch()
    diagnosis = call(str(folder_of(tmp_path, 6)), watch=watch)
    assert by_cause(diagnosis) == {STALE: 12, IDLE: 6}
    assert (diagnosis.accounting.lines, diagnosis.accounting.fine) == (6 * 23, 6 * 20)
    assert balanced(diagnosis)
    assert watch.read[-1] == watch.size == sum(one.size for one in diagnosis.files)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_number_of_workers_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    folder = str(folder_of(tmp_path, 5))
    alone = call(folder, jobs=1)
    monkeypatch.setattr("keepalign.logs.engines.local._ALONE", 0)
    assert call(folder, jobs=jobs) == alone


def test_judging_in_workers_says_the_same_to_the_last_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(folder_of(tmp_path, 40))
    alone = call(folder, jobs=1, rows=str(tmp_path / "alone.jsonl"))
    monkeypatch.setattr("keepalign.logs.engines.local._WORTH_ROWS", 0)
    divided = call(folder, jobs=2, rows=str(tmp_path / "divided.jsonl"))
    assert divided == alone
    assert alone.errors == 120
    assert (tmp_path / "divided.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
    for wanted in (
        Wanted(path="/other"),
        Wanted(since=START + Duration.of(s=90), until=START + Duration.of(s=1000)),
        Wanted(target_group="orders"),
        Wanted(target_group="other"),
    ):
        monkeypatch.setattr("keepalign.logs.engines.local._WORTH_ROWS", 0)
        divided = call(folder, jobs=2, wanted=wanted)
        monkeypatch.setattr("keepalign.logs.engines.local._WORTH_ROWS", 10**9)
        assert divided == call(folder, wanted=wanted)


def test_paths_that_are_not_asked_for_are_still_evidence(tmp_path: Path) -> None:
    """A crash ends requests of two paths at once; asking for one of them does not make it a stale one."""
    crash = [
        line("0.001 4.2 -1 502 -", at=100.0, request=f"GET http://a:80/{path} HTTP/1.1")
        for path in ("a", "b", "b", "b")
    ]
    fine = [line("0.001 0.02 0.0 200 200", at=at) for at in range(160, 400, 2)]
    (tmp_path / "x.log").write_text("\n".join([*crash, *fine]) + "\n")
    (all_of_it,) = call(str(tmp_path / "x.log")).groups
    (some,) = call(str(tmp_path / "x.log"), wanted=Wanted(path="/a")).groups
    assert some.cause == all_of_it.cause
    assert some.number == 1
    assert any("4 requests" in sentence for sentence in some.example.evidence)


def test_duckdb_says_the_same(tmp_path: Path) -> None:
    folder = str(folder_of(tmp_path, 3))
    assert by_cause(call(folder, engine="duckdb")) == by_cause(call(folder))


def test_second_run_reads_only_what_is_new(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = call(str(folder_of(tmp_path / "logs", 3)), cache=cache)
    (tmp_path / "logs" / NAME.format("late")).write_bytes(gzip.compress(log(9)))
    second = call(str(tmp_path / "logs"), cache=Cache(tmp_path / "cache"))
    assert [one.cached for one in first.files] == [False] * 3
    assert sorted(one.cached for one in second.files) == [False, True, True, True]
    assert by_cause(second) == by_cause(call(str(tmp_path / "logs"))) == {STALE: 8, IDLE: 4}


def test_same_file_named_twice_is_read_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    (name,) = folder.rglob("*.gz")
    once = call(str(name))
    for words in (
        [str(name), str(name)],
        [str(folder), str(name)],
        [str(folder / "**" / "*.gz"), str(folder)],
    ):
        assert by_cause(call(*words)) == by_cause(once)


def test_standard_input_may_be_a_paste_or_a_stream_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    data = log(0)
    pasted = call("-", stdin=b"> " + data.replace(b"\n", b"\n> "))
    monkeypatch.setattr(sources, "PASTED_MOST", 100)
    for stream in (data, gzip.compress(data)):
        assert by_cause(call("-", stdin=stream)) == by_cause(pasted) == {STALE: 2, IDLE: 1}


def test_foreign_objects_are_skipped_and_said(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    (folder / "ELBAccessLogTestFile").write_text("Enable AccessLog for ELB\n")
    (folder / "notes.log").write_text("what I saw\n")
    (folder / "main.tf").write_text("# no log\n")
    diagnosis = call(str(folder))
    assert {Path(one.name).name for one in diagnosis.files if one.skipped} == {
        "ELBAccessLogTestFile",
        "notes.log",
    }
    assert by_cause(diagnosis) == {STALE: 2, IDLE: 1}


def test_filters_pick_errors_and_never_lines(tmp_path: Path) -> None:
    folder = str(folder_of(tmp_path, 3))
    since, until = START + Duration.of(s=60), START + Duration.of(s=120)
    some = call(folder, wanted=Wanted(since=since, until=until))
    assert by_cause(some) == {STALE: 2, IDLE: 1}
    assert some.accounting.lines == 3 * 23
    assert by_cause(call(folder, wanted=Wanted(target_group="orders"))) == {STALE: 6, IDLE: 3}
    assert by_cause(call(folder, wanted=Wanted(target_group="other"))) == {}
    assert by_cause(call(folder, wanted=Wanted(path="/ord*"))) == {STALE: 6, IDLE: 3}
    assert by_cause(call(folder, wanted=Wanted(path="/other"))) == {}


@pytest.mark.parametrize("engine", ["local", "duckdb"])
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(path="/a/*"),
        Wanted(target_group="orders", path="/x*"),
        Wanted(since=START + Duration.of(s=1800.01), until=START + Duration.of(s=4000)),
        Wanted(since=START + Duration.of(s=3600), until=START + Duration.of(s=7000), path="/orders/*"),
    ],
)
def test_filters_tell_less_and_judge_the_same(tmp_path: Path, engine: str, wanted: Wanted) -> None:
    write(tmp_path / "logs", split(lines(5, 900), 2))
    rows = []
    for number, asked in enumerate((wanted, Wanted())):
        told = tmp_path / f"{number}.jsonl"
        call(str(tmp_path / "logs"), engine=engine, wanted=asked, rows=str(told))
        rows.append(told.read_text("utf-8").splitlines())
    some, all_of_them = rows
    kept = [
        text for text in all_of_them if wanted.keeps(_row(json.loads(text)["file"], json.loads(text)["line"]))
    ]
    assert some == kept
    assert 0 < len(some) < len(all_of_them)


def _row(file: str, number: int) -> LogRow:
    data = Path(file).read_bytes()
    text = (gzip.decompress(data) if file.endswith(".gz") else data).split(b"\n")[number - 1]
    found = alb.read_line(text)
    assert isinstance(found, LogRow)
    return found


def test_everything_beside_the_log_reaches_the_judge(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    (tmp_path / "events.json").write_text(
        json.dumps({"time": "2026-11-22T10:00:20Z", "target": "10.0.0.1:80"}) + "\n"
    )
    (tmp_path / "nginx-error.log").write_text(
        "2026/11/22 10:00:21 [notice] 1#1: signal process started\n"
        "2026/11/22 10:00:21 [notice] 1#1: gracefully shutting down\n"
    )
    (folder / "conn_log_x.log").write_text("")
    diagnosis = call(
        str(folder),
        given=Given(
            timers=Timers(keep_alive=Duration.of(s=5)),
            witnesses=(Witness(str(tmp_path / "nginx-error.log")),),
        ),
    )
    (timers,) = diagnosis.timers
    assert timers.timers.keep_alive == Duration.of(s=5)
    assert any("2 lines of a witness" in note for note in diagnosis.notes)


def test_logs_beside_are_known_by_their_content_where_the_name_says_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    (folder / "tls.log").write_text(
        "2026-11-22T10:00:00.123456Z 192.0.2.8 40001 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.012 - - -"
        " Failed:ClientCertExpired TID_3\n"
    )
    diagnosis = call(str(folder))
    (told,) = (one for one in diagnosis.files if one.beside)
    assert told.kind == Kind.CONNECTION
    assert (told.accounting.lines, told.accounting.rejected) == (1, 0)
    assert any("ClientCertExpired" in note for note in diagnosis.notes)


def test_object_that_cannot_be_read_is_a_note_unless_it_is_the_only_one(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.log", tmp_path / NAME.format("x")
    good.write_bytes(log(0))
    bad.write_bytes(gzip.compress(log(1))[:100])
    diagnosis = call(str(good), str(bad))
    assert by_cause(diagnosis)[STALE] >= 2
    assert any(str(bad) in note and "breaks off" in note for note in diagnosis.notes)
    with pytest.raises(ReadError, match="No such file"):
        call(str(tmp_path / "missing.log"))
    with pytest.raises(ReadError, match="nothing fits"):
        call(str(tmp_path / "*.none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="no access log in this folder"):
        call(str(tmp_path / "empty"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_error_row_is_written(tmp_path: Path, suffix: str) -> None:
    rows = tmp_path / f"rows{suffix}"
    diagnosis = call(str(folder_of(tmp_path / "logs", 2)), rows=str(rows))
    if suffix == ".parquet":
        import duckdb

        ((number,),) = duckdb.connect().execute(f"SELECT count(*) FROM '{rows}'").fetchall()
    else:
        number = len(rows.read_text("utf-8").splitlines()) - (suffix == ".csv")
    assert number == diagnosis.errors == 6


def test_table_of_all_lines_is_kept_in_the_cache(tmp_path: Path) -> None:
    import duckdb

    call(str(folder_of(tmp_path / "logs", 2)), cache=Cache(tmp_path / "cache"), keep_all=True)
    ((lines,),) = (
        duckdb.connect().execute(f"SELECT count(*) FROM '{tmp_path}/cache/logs/*/*.parquet'").fetchall()
    )
    assert lines == 2 * 23


def test_ctrl_c_while_judging_tells_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(folder_of(tmp_path, 2))
    from keepalign.logs.engines import local

    real = local.judged_here

    def interrupted(*arguments: object) -> Iterator[object]:
        found = real(*arguments)  # type: ignore[arg-type]  # handed through
        yield next(found)
        raise KeyboardInterrupt

    monkeypatch.setattr("keepalign.logs.inquiry.judged_here", interrupted)
    diagnosis = call(folder)
    assert diagnosis.partial is not None
    assert diagnosis.errors == 1


def test_stated_timers_beat_the_configuration(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    stack.mkdir()
    (stack / "main.tf").write_text(STACK)
    given = Given(timers=Timers(idle_timeout=Duration.of(s=61)), config=[str(stack)])
    diagnosis = call(str(folder_of(tmp_path / "logs", 1)), given=given)
    told = {one.group: one.timers for one in diagnosis.timers}
    assert all(timers.idle_timeout == Duration.of(s=61) for timers in told.values())
    assert GROUP.partition("targetgroup/")[2].startswith("orders/")


def test_timers_are_told_with_whoever_knew_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keepalign.logs import aws

    known = aws.Live(timers={GROUP: Timers(idle_timeout=Duration.of(s=60))})
    monkeypatch.setattr(aws, "balancer_timers", lambda seen, options: known)
    folder = str(folder_of(tmp_path, 1))
    live = {one.group: one.source for one in call(folder, given=Given(live=True)).timers}
    assert live == {GROUP: "the running balancer"}
    stated = Timers(keep_alive=Duration.of(s=5))
    both = {one.group: one.source for one in call(folder, given=Given(live=True, timers=stated)).timers}
    assert both == {"": "as stated", GROUP: "the running balancer and as stated"}


def test_health_checks_that_are_not_kept_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepalign.logs.beside.MOST_CHECKS", 2)
    folder = folder_of(tmp_path, 1)
    check = "http 2026-11-22T10:00:0{}.000000Z 0.002 10.0.0.1:80 orders PASS 200 -\n"
    (folder / "health_check_log_x.log").write_text("".join(check.format(n) for n in range(3)))
    assert "2 of 3 health checks were kept: the first ones" in call(str(folder)).notes
