"""One call of `diagnose`: what the user names → objects and evidence → an engine → Diagnosis."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from keepalign.errors import ReadError, UsageError
from keepalign.logs import sources
from keepalign.logs.aws_options import Athena
from keepalign.logs.beside import Beside, Given, beside
from keepalign.logs.blocks import GZIP
from keepalign.logs.cache import Cache
from keepalign.logs.engines import Judgement
from keepalign.logs.engines.local import (
    Job,
    Kept,
    Report,
    divided,
    error_rows,
    judged_by_workers,
    judged_here,
    read_here,
    whole,
)
from keepalign.logs.objects import Kind, LogObject, Scanned, Skipped, kind_by_name
from keepalign.logs.paste import Reading, scanned_of
from keepalign.logs.rows import RowWriter
from keepalign.logs.tally import Tally
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import AROUND
from keepalign.model.diagnosis import Diagnosis, Interrupted
from keepalign.model.observation import LogRow

ENGINES: Final = ("local", "duckdb", "spark", "athena")
_S3: Final = "s3://"
_BESIDE: Final = (Kind.CONNECTION, Kind.HEALTH)


class Watch(Protocol):
    """Who is told how it goes."""

    def say(self, sentence: str) -> None:
        """Something to know before it goes on, such as what reading will cost."""
        ...

    def agreed(self, question: str) -> bool:
        """Whether somebody says yes; False when nobody can be asked."""
        ...

    def reading(self, size: int) -> AbstractContextManager[Report]:
        """While `size` stored bytes are read; 0: nobody knows how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What to diagnose and how.

    Args:
        words: files, folders, globs, "-", "s3://…".
        engine: one of ENGINES. jobs: worker processes; 0: as many as cores.
        rows: a file for every error line; empty: none. keep_all: a table of all lines goes into the cache.
        master: of Spark. athena: how it is used. yes: nobody is asked whether it may cost something.
    """

    words: Sequence[str]
    given: Given = field(default_factory=Given)
    wanted: Wanted = field(default_factory=Wanted)
    engine: str = "local"
    jobs: int = 0
    cache: Cache | None = None
    keep_all: bool = False
    rows: str = ""
    master: str = ""
    athena: Athena = field(default_factory=Athena)
    yes: bool = False


@dataclass(slots=True)
class Sources:
    """What the words stand for.

    Args:
        objects: access logs. beside: connection and health check logs. pasted: read already.
        stacks: folders that hold more than logs. events: files in them that may tell of deployments.
    """

    objects: list[LogObject] = field(default_factory=list)
    beside: list[LogObject] = field(default_factory=list)
    pasted: list[Scanned] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stacks: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Stored bytes; 0 when that of one is not known."""
        return 0 if any(not one.size for one in self.objects) else sum(one.size for one in self.objects)


def inquire(inquiry: Inquiry, stdin: BinaryIO, watch: Watch) -> Diagnosis:
    """Read, judge and sum up. Ctrl-C ends the reading or the judging; what is known by then is told.

    Raises: KeepalignError: something that was named cannot be read.
    """
    here = inquiry.engine in ("local", "duckdb")
    found = gather(inquiry, stdin, watch) if here else Sources()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_temporary()))
        writer = stack.enter_context(RowWriter(inquiry.rows)) if inquiry.rows else None
        judgement, known = _judged(inquiry, found, folder, watch)
        tally = Tally()
        interrupted = judgement.interrupted
        try:
            for portion in judgement.portions or ():
                tally.merge(portion.tally)
                if writer is not None:
                    for one in portion.judged:
                        writer.write(one)
            for one in judgement.judged:
                if not inquiry.wanted.keeps(one.row):
                    continue
                tally.add(one)
                if writer is not None:
                    writer.write(one)
        except KeyboardInterrupt:
            interrupted = interrupted or Interrupted()
        return tally.diagnosis(
            [*judgement.scanned, *known.scanned],
            notes=(*found.notes, *_notes(judgement), *known.notes),
            partial=interrupted,
            configured=known.configured,
            evidence=known.evidence,
            complete=whole(judgement.scanned),
            skipped=found.skipped,
            timers_from=known.timers_from,
        )


def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Raises: UsageError: there is no place for one."""
    try:
        return tempfile.TemporaryDirectory(prefix="keepalign-")
    except OSError as error:
        hint = "set TMPDIR to a folder that can be written, with room for the error lines"
        raise UsageError(f"no folder for temporary files: {error.strerror or error}", hint=hint) from error


def gather(inquiry: Inquiry, stdin: BinaryIO, watch: Watch) -> Sources:
    """What the words stand for; what S3 will cost is said.

    Raises: ReadError, NoAccess, NothingToRead, UsageError: a word stands for nothing that can be read.
    """
    found = Sources()
    # Other engines read lines as they stand.
    pasted = inquiry.engine == "local"
    words = list(dict.fromkeys(inquiry.words))
    for word in words:
        if word == sources.STDIN:
            _stream(stdin, found, name=sources.STDIN, pasted=pasted)
        elif word.startswith(_S3):
            from keepalign.logs import s3

            wanted = inquiry.wanted
            listing = s3.objects(
                word,
                since=wanted.since + -AROUND if wanted.since is not None else None,
                until=wanted.until + AROUND if wanted.until is not None else None,
                session=inquiry.given.aws,
            )
            watch.say(f"{listing.address}: {listing.estimate}")
            found.objects += listing.objects
            found.beside += listing.beside
            found.skipped += listing.skipped
            found.notes += listing.notes
            if listing.outside:
                found.notes.append(
                    f"{listing.address}: {listing.outside} objects of other times were not read"
                )
        else:
            _local(word, found, pasted=pasted)
    return found


def _local(word: str, found: Sources, *, pasted: bool) -> None:
    here = sources.local([word])
    known = {one.name for one in (*found.objects, *found.beside)}
    for one in here.objects:
        if one.name in known:
            continue
        if not one.tag:
            _stream(one.opener(), found, name=one.name, pasted=pasted, owned=True)
            continue
        kind = kind_by_name(one.name) or sources.kind_of(one)
        if kind in _BESIDE:
            found.beside.append(one)
        elif (
            pasted
            and one.size <= sources.PASTED_MOST
            and kind in (Kind.OTHER, Kind.ALB)
            and sources.is_plain(one)
        ):
            reading = Reading()
            sources.read_file(one.name, reading)
            found.pasted.append(scanned_of(reading, one.name, size=one.size))
            found.notes += reading.notes
        else:
            found.objects.append(one)
    found.skipped += here.skipped
    found.stacks += here.stacks
    found.events += here.events


def _stream(stream: BinaryIO, found: Sources, *, name: str, pasted: bool, owned: bool = False) -> None:
    """Standard input or a pipe: a paste, as long as it is not too long, or a stream of whole lines.

    Args:
        owned: `stream` is to be closed when it was read.
    Raises: ReadError: it cannot be read.
    """
    import io

    from keepalign.logs.formats import sniff

    try:
        head, all_of_it = sources.head_of(stream)
    except OSError as error:
        what = "standard input" if name == sources.STDIN else name
        raise ReadError(error.strerror or str(error), file=what) from error
    # What is packed can be of any size.
    packed = head.startswith(GZIP)
    if pasted and all_of_it and not packed and sniff(head) in (Kind.OTHER, Kind.ALB):
        reading = Reading()
        sources.read_stream(io.BytesIO(head), name=name, into=reading)
        found.pasted.append(scanned_of(reading, name, size=len(head)))
        found.notes += reading.notes
        if owned:
            stream.close()
    else:
        size = len(head) if all_of_it else 0
        found.objects.append(LogObject(name, size, "", sources.Standard(head, stream, owned)))


def _judged(inquiry: Inquiry, found: Sources, folder: Path, watch: Watch) -> tuple[Judgement, Beside]:
    """By the engine that was asked for, with everything that is known beside the lines: all rows of the
    windows that hold what is wanted."""
    if inquiry.keep_all and (inquiry.engine != "local" or inquiry.cache is None):
        hint = "leave --no-cache out, and name a folder in KEEPALIGN_CACHE where the user has no home"
        raise UsageError("--keep-all works with --engine local, and with a cache", hint=hint)
    if inquiry.engine == "local":
        return _local_engine(inquiry, found, folder, watch)
    if inquiry.given.live:
        hint = "ask for the timers with aws elbv2 describe-load-balancer-attributes, and state --idle-timeout"
        raise UsageError("--live works with --engine local", hint=hint)
    known = beside(_given(inquiry, found), found.beside, (), None)
    wanted = inquiry.wanted.windows
    with watch.reading(0):
        match inquiry.engine:
            case "duckdb":
                from keepalign.logs.engines import duckdb

                return duckdb.run(found.objects, known.evidence, folder=folder, wanted=wanted), known
            case "spark":
                from keepalign.logs.engines import spark

                return spark.run(inquiry.words, known.evidence, master=inquiry.master, wanted=wanted), known
            case "athena":
                return _athena(inquiry, known, watch), known
            case _:
                raise UsageError(f"no engine {inquiry.engine!r}", hint=f"one of {', '.join(ENGINES)}")


def _given(inquiry: Inquiry, found: Sources) -> Given:
    """With what lies in the folders of logs, where nothing was named."""
    given = inquiry.given
    if not given.config and found.stacks:
        given = replace(given, config=tuple(found.stacks), asked=False)
    if not given.events and found.events:
        given = replace(given, met=tuple(found.events))
    return given


def _athena(inquiry: Inquiry, known: Beside, watch: Watch) -> Judgement:
    from keepalign.logs.engines import athena

    if len(inquiry.words) != 1:
        raise UsageError("--engine athena reads one s3:// address at a time")
    using = replace(inquiry.athena, session=inquiry.given.aws)
    wanted = inquiry.wanted.windows
    plan = athena.plan(inquiry.words[0], using, wanted)
    watch.say(str(plan.estimate))
    return athena.run(
        plan,
        using,
        wanted,
        known.evidence,
        confirm=lambda _: inquiry.yes or watch.agreed("Start the queries?"),
    )


def _local_engine(inquiry: Inquiry, found: Sources, folder: Path, watch: Watch) -> tuple[Judgement, Beside]:
    job = Job(found.objects, folder, inquiry.wanted.windows, found.pasted, inquiry.jobs, inquiry.cache)
    with watch.reading(found.size) as report:
        judgement = read_here(job, report)
    if inquiry.keep_all and judgement.interrupted is None:
        _keep_all(inquiry, found, judgement)
    rows: Callable[[], Iterable[LogRow]] = lambda: error_rows(job, judgement.scanned)  # noqa: E731
    known = beside(_given(inquiry, found), found.beside, judgement.scanned, rows)
    if divided(job, judgement.scanned):
        kept = Kept(inquiry.wanted, rows=bool(inquiry.rows))
        judgement.portions = judged_by_workers(job, judgement.scanned, known.evidence, kept)
    else:
        judgement.judged = judged_here(job, judgement.scanned, known.evidence)
    return judgement, known


def _keep_all(inquiry: Inquiry, found: Sources, judgement: Judgement) -> None:
    """Raises: UsageError: DuckDB is missing."""
    from keepalign.logs import slim

    assert inquiry.cache is not None
    kinds = {one.name: one.kind for one in judgement.scanned}
    kept: list[Path] = []
    missed = 0
    for one in found.objects:
        table = inquiry.cache.table(one)
        missed += table is None
        try:
            if table is not None and (
                table.exists() or slim.write(one, table, kind=kinds.get(one.name, Kind.ALB))
            ):
                kept.append(table)
        # The answer is worth more than the table.
        except ReadError as error:
            judgement.notes.append(str(error))
    if missed:
        judgement.notes.append(f"tables of all lines that could not be kept in the cache: {missed}")
    if kept:
        folder = kept[0].parent.parent
        judgement.notes.append(f"{len(kept)} tables of all lines: duckdb -c \"FROM '{folder}/*/*.parquet'\"")


def _notes(judgement: Judgement) -> Iterator[str]:
    yield from judgement.notes
    for one in judgement.scanned:
        yield from one.notes
