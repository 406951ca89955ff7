"""This machine: worker processes scan the objects, then one process judges what they found.

Memory does not grow with the logs: workers stream, counters are per minute and target, and error rows beyond
a number are sorted through files (`logs.parts`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from keepalign.errors import ReadError
from keepalign.logs import parts
from keepalign.logs.cache import Cache
from keepalign.logs.engines import Judgement, Portion
from keepalign.logs.judge import judge
from keepalign.logs.objects import LogObject, Scanned, kind_by_name
from keepalign.logs.scan import Stopped, scan
from keepalign.logs.tally import Tally
from keepalign.logs.wanted import Wanted, of_group
from keepalign.logs.windows import MOST_ROWS, SLICE_MINUTES, CountersOf, Key, window, windows
from keepalign.model.diagnosis import Interrupted
from keepalign.model.observation import Evidence, Judged, LogRow, Rejected
from keepalign.units import Instant

Report = Callable[[int], None]
"""Told how many stored bytes were read so far."""

_ALONE: Final = 4 << 20
"""Below this, starting workers takes longer than reading."""
_WORTH_ROWS: Final = 4_000
"""Fewer error rows are judged sooner by one process."""
_LOOK_S: Final = 0.1
"""Between two looks at how far the workers are."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to read and how.

    Args:
        objects: access logs. folder: an empty one, for what is written meanwhile.
        pasted: what was read already.
        workers: processes; 0: as many as there are cores.
        cache: None: nothing is kept for the next run.
    """

    objects: Sequence[LogObject]
    folder: Path
    wanted: Wanted = field(default_factory=Wanted)
    pasted: Sequence[Scanned] = ()
    workers: int = 0
    cache: Cache | None = None


def read_here(job: Job, report: Report) -> Judgement:
    """Read all objects; nothing is judged yet.

    Ctrl-C ends the reading: what is known by then can be judged, and `interrupted` says so. An object that
    cannot be read is a note, unless none can be.

    Raises: ReadError: no object can be read.
    """
    judgement = Judgement()
    judgement.scanned += job.pasted
    _read(job, judgement, report)
    return judgement


def error_rows(job: Job, scanned: Sequence[Scanned]) -> Iterator[LogRow]:
    """What will be judged, in the judge's order."""
    return parts.rows(scanned, wanted=job.wanted, folder=job.folder)


def judged_here(job: Job, scanned: Sequence[Scanned], evidence: Evidence) -> Iterator[Judged]:
    """Judge what `read_here` found."""
    rows = error_rows(job, scanned)
    for one in windows(rows, parts.counters(scanned), evidence, complete=whole(scanned)):
        yield from judge(one)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of judged rows: those that `wanted` keeps; `rows`: one by one besides."""

    wanted: Wanted
    rows: bool = False


def divided(job: Job, scanned: Sequence[Scanned]) -> bool:
    """Whether windows are worth more than one process. What was pasted is not written to any part."""
    several = (job.workers or os.cpu_count() or 1) > 1
    plain = job.wanted == job.wanted.windows and not any(one.rows for one in scanned)
    return several and plain and sum(one.errors for one in scanned) >= _WORTH_ROWS


def judged_by_workers(
    job: Job, scanned: Sequence[Scanned], evidence: Evidence, kept: Kept
) -> Iterator[Portion]:
    """Judge in worker processes what `read_here` found; windows come back in order, counted."""
    by_name = sorted(scanned, key=lambda one: one.name)
    judging = _Judging(
        tuple(one.name for one in by_name), parts.counters(scanned), evidence, whole(scanned), kept
    )
    workers = job.workers or os.cpu_count() or 1
    # Only so many windows are in memory at a time.
    running: deque[Future[_Judged]] = deque()
    pool = ProcessPoolExecutor(workers, _context(), _begin_judging, (judging,))
    try:
        for several in _together(parts.portions(by_name, folder=job.folder), job.wanted):
            running.append(_submitted(pool, _judge_portions, several))
            if len(running) > workers:
                yield _taken(running.popleft(), by_name)
        while running:
            yield _taken(running.popleft(), by_name)
    except BaseException:
        with _ended_at_once():
            raise
    finally:
        pool.shutdown(cancel_futures=True)


def _together(portions: Iterable[parts.Portion], wanted: Wanted) -> Iterator[list[parts.Portion]]:
    """Windows that are wanted, as many at a time as one may hold rows: what comes back is counted once."""
    several: list[parts.Portion] = []
    rows = 0
    for portion in portions:
        if not _wanted(portion.key, wanted):
            continue
        if several and rows + len(portion.lines) > MOST_ROWS:
            yield several
            several, rows = [], 0
        several.append(portion)
        rows += len(portion.lines)
    if several:
        yield several


def _wanted(key: Key, wanted: Wanted) -> bool:
    """Of whole windows: no row of one is kept without the others."""
    begin = Instant(key.slice * SLICE_MINUTES * 60_000_000)
    if wanted.since is not None and begin < wanted.since:
        return False
    if wanted.until is not None and not begin < wanted.until:
        return False
    return not wanted.target_group or of_group(key.group, wanted.target_group)


_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")
_Judged = tuple[Portion, list[tuple[int, Rejected]]]


def _taken(future: Future[_Judged], by_name: Sequence[Scanned]) -> Portion:
    try:
        portion, rejected = future.result()
    except BrokenProcessPool as error:
        hint = "was it out of memory? --jobs 1 judges with one process"
        raise ReadError(
            "a process that judged them was ended from outside", file="error lines", hint=hint
        ) from error
    for place, one in rejected:
        parts.reject(by_name[place], one)
    return portion


@dataclass(frozen=True, slots=True)
class _Judging:
    """What a worker needs for every window."""

    names: tuple[str, ...]
    counters: CountersOf
    evidence: Evidence
    complete: bool
    kept: Kept


_judging: _Judging | None = None


def _serve_parent() -> None:
    """In a worker: Ctrl-C is the parent's to handle, and no worker outlives it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        # A pool's worker waits for work for ever: it holds both ends of the queue.
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin_judging(judging: _Judging) -> None:
    """In a worker."""
    global _judging  # how a pool hands things to its workers
    _judging = judging
    _serve_parent()


def _judge_portions(portions: Sequence[parts.Portion]) -> _Judged:
    assert _judging is not None
    tally = Tally()
    kept: list[Judged] = []
    rejected: list[tuple[int, Rejected]] = []
    for portion in portions:
        rows, refused = parts.read_portion(portion, _judging.names)
        rejected += refused
        if not rows:
            continue
        counters = _judging.counters.get(portion.key, {})
        seen = window(portion.key, rows, counters, _judging.evidence, complete=_judging.complete)
        for one in judge(seen):
            if _judging.kept.wanted.keeps(one.row):
                tally.add(one)
                if _judging.kept.rows:
                    kept.append(one)
    return Portion(tally, kept), rejected


def _context() -> ForkContext | SpawnContext:
    # Forking is quick, but not sound beside threads (a warning since Python 3.12).
    if sys.platform == "linux" and threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def whole(scanned: Sequence[Scanned]) -> bool:
    """Whether these are logs as they were written, not lines that somebody picked.

    Whoever picks lines picks errors; what the balancer delivered has its name.
    """
    if any(kind_by_name(one.name) is not None for one in scanned):
        return True
    return sum(one.fine for one in scanned) >= sum(one.errors for one in scanned)


def _read(job: Job, judgement: Judgement, report: Report) -> None:
    todo: list[tuple[LogObject, Path]] = []
    read = 0
    for number, one in enumerate(job.objects):
        known = job.cache.get(one) if job.cache is not None else None
        if known is not None:
            _share(known, judgement.scanned)
            judgement.scanned.append(known)
            read += one.size
        else:
            todo.append((one, job.folder / f"{number}.part"))
    report(read)
    errors: list[ReadError] = []
    size = sum(one.size for one, _ in todo)
    workers = min(job.workers or os.cpu_count() or 1, len(todo))
    # Standard input and pipes belong to this process.
    apart = workers > 1 and size > _ALONE and all(one.tag for one, _ in todo)
    run = _with_workers if apart else _alone
    for one, result in run(todo, workers, judgement, lambda more: report(read + more)):
        if isinstance(result, ReadError):
            errors.append(result)
            judgement.notes.append(f"{one.name}: not read: {result.message}")
            continue
        if job.cache is not None and judgement.interrupted is None:
            job.cache.put(one, result)
        _share(result, judgement.scanned)
        judgement.scanned.append(result)
    order = {one.name: place for place, one in enumerate(job.objects)}
    judgement.scanned.sort(key=lambda one: order.get(one.name, -1))
    if errors and not judgement.scanned:
        raise errors[0]


def _share(result: Scanned, scanned: Sequence[Scanned]) -> None:
    """Count with the first object that is no paste: many objects of one hour count the same things."""
    first = next((one for one in scanned if not one.rows and one.counts), None)
    if first is not None:
        for key, lines in result.counts.items():
            first.counts[key] = first.counts.get(key, 0) + lines
        first.groups |= result.groups
        result.counts, result.groups = {}, set()


_Results = Iterator[tuple[LogObject, Scanned | ReadError]]


def _alone(todo: Sequence[tuple[LogObject, Path]], _: int, judgement: Judgement, report: Report) -> _Results:
    done = 0
    size = sum(one.size for one, _ in todo)
    stop = _Stop()

    def progress(more: int) -> None:
        nonlocal done
        done += more
        report(done)
        if stop.asked():
            raise Stopped

    with stop:
        for one, part in todo:
            if stop.asked():
                break
            result = _scanned(one, part, progress)
            if stop.asked():
                judgement.interrupted = Interrupted(done if size else None, size or None)
            yield one, result


class _Stop:
    """Takes Ctrl-C as a wish, once; the second one is as always."""

    def __init__(self) -> None:
        self._asked = False
        self._mine = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> _Stop:
        # Whoever ignores the signal, as a shell does for what it puts in the background, wants that.
        self._mine = self._mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._mine:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def asked(self) -> bool:
        """Whether it came."""
        return self._asked

    def _ask(self, *_: object) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _scanned(one: LogObject, part: Path, progress: Report) -> Scanned | ReadError:
    try:
        return scan(one, part, kind=kind_by_name(one.name), progress=progress)
    except ReadError as error:
        return error


def _with_workers(
    todo: Sequence[tuple[LogObject, Path]], workers: int, judgement: Judgement, report: Report
) -> _Results:
    context = _context()
    done: Synchronized[int] = context.Value("q", 0)
    stop = context.Event()
    asked = _Stop()
    size = sum(one.size for one, _ in todo)
    with ProcessPoolExecutor(workers, context, _begin, (done, stop)) as pool, _ended_at_once(), asked:
        # The largest first, so that no worker waits at the end for one that began a large one late.
        futures: dict[Future[Scanned | ReadError], LogObject] = {
            _submitted(pool, _work, one, part): one
            for one, part in sorted(todo, key=lambda pair: -pair[0].size)
        }
        open_: set[Future[Scanned | ReadError]] = set(futures)
        while open_:
            ready, open_ = wait(open_, timeout=_LOOK_S)
            # Without its lock, which a worker that was killed may hold for ever.
            report(done.get_obj().value)
            for future in ready:
                if not future.cancelled():
                    yield futures[future], _result(future, futures[future])
            if asked.asked() and not stop.is_set():
                judgement.interrupted = Interrupted(done.get_obj().value, size)
                stop.set()
                for future in open_:
                    future.cancel()
    if asked.asked():
        judgement.interrupted = Interrupted(done.get_obj().value, size)


@contextlib.contextmanager
def _ended_at_once() -> Iterator[None]:
    """What goes wrong, or a second Ctrl-C, ends the workers: a pool would wait for all they have begun."""
    try:
        yield
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise


def _submitted(
    pool: ProcessPoolExecutor,
    work: Callable[_Arguments, _Answer],
    *arguments: _Arguments.args,
    **keywords: _Arguments.kwargs,
) -> Future[_Answer]:
    """As pool.submit(), but where a worker has ended already the future is what tells it."""
    try:
        return pool.submit(work, *arguments, **keywords)
    except BrokenProcessPool as error:
        failed: Future[_Answer] = Future()
        failed.set_exception(error)
        return failed


def _result(future: Future[Scanned | ReadError], one: LogObject) -> Scanned | ReadError:
    try:
        return future.result()
    except BrokenProcessPool:
        hint = "was it out of memory? --jobs 1 reads with one process"
        return ReadError("the process that read it was ended from outside", file=one.name, hint=hint)


_shared: tuple[Synchronized[int], Event] | None = None


def _begin(done: Synchronized[int], stop: Event) -> None:
    """In a worker."""
    global _shared  # how a pool hands things to its workers
    _shared = done, stop
    _serve_parent()


def _work(one: LogObject, part: Path) -> Scanned | ReadError:
    assert _shared is not None
    done, stop = _shared

    def progress(more: int) -> None:
        with done.get_lock():
            done.value += more
        if stop.is_set():
            raise Stopped

    return _scanned(one, part, progress)
