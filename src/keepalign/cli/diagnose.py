"""`keepalign diagnose`: the cause of each error in access logs, from a pasted line to a fleet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keepalign.cli import _diagnose_options, _options, debug_option
from keepalign.cli._options import Output
from keepalign.errors import NothingToRead, UsageError
from keepalign.units import Duration, Instant

if TYPE_CHECKING:
    from keepalign.join import Loaded
    from keepalign.logs.configured import Solved
    from keepalign.logs.wanted import Wanted
    from keepalign.logs.witness.files import Witness
    from keepalign.model.diagnosis import Diagnosis

_INTERRUPTED: Final = 130
_TOO_MANY_REJECTED: Final = 5


@click.command(
    "diagnose",
    short_help="Name the cause of each 5xx in access logs.",
    epilog="\b\nExamples:\n"
    "  keepalign diagnose - < lines-you-copied\n"
    "  keepalign diagnose logs/ --config infra/ --format html=incident.html\n"
    "  keepalign diagnose s3://BUCKET/PREFIX --since 2h --ecs CLUSTER/SERVICE",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@_diagnose_options.output
@_diagnose_options.which
@_diagnose_options.beside
@_diagnose_options.how
@debug_option
def command(
    files: tuple[str, ...],
    formats: tuple[Output, ...],
    rows: str,
    max_rejects: tuple[float, bool],
    since: Instant | None,
    until: Instant | None,
    target_group: str,
    path: str,
    config: tuple[str, ...],
    witnesses: tuple[str, ...],
    with_format: str,
    with_zone: str,
    events: tuple[str, ...],
    ecs: tuple[str, ...],
    live: bool,
    idle_timeout: Duration | None,
    keep_alive: Duration | None,
    deregistration_delay: Duration | None,
    engine: str,
    jobs: int,
    no_cache: bool,
    keep_all: bool,
    spark_master: str,
    athena_workgroup: str,
    athena_output: str,
    athena_table: str,
    athena_database: str,
    yes: bool,
    profile: str,
    region: str,
    endpoint_url: str,
) -> int:
    """Name the cause of each error in the access logs of an AWS load balancer.

    FILE... are logs, plain or gzip, folders or patterns, s3://BUCKET/PREFIX, or - for standard input: paste
    lines as you have them, also quoted, wrapped, or behind what grep puts before them. Application and
    Classic Load Balancers, also vended JSON lines and Parquet; connection and health-check logs beside them
    are used. Nothing else is needed; whatever you add makes the answer surer.

    Exit code 0: no errors among the lines; 1: there are some; 2: a file or an option cannot be used; 3: no
    line could be read; 4: AWS does not permit it; 5: too many lines could not be read; 130: interrupted.
    """
    from keepalign.logs.aws_options import DATABASE, Athena, AwsOptions
    from keepalign.logs.beside import Given
    from keepalign.logs.cache import Cache, default_folder
    from keepalign.logs.inquiry import Inquiry, inquire
    from keepalign.logs.wanted import Wanted
    from keepalign.model.observation import Timers

    if "-" in files and sys.stdin.isatty():
        click.echo("Paste lines of an ALB access log, then press Ctrl-D.", err=True)
    if since is not None and until is not None and not since < until:
        raise UsageError("--since is not before --until")
    wanted = Wanted(since, until, target_group, path)
    if engine == "trino":
        if rows or formats != (Output("text", ""),):
            raise UsageError("--engine trino prints SQL and reads nothing: leave --rows and --format out")
        return _trino(files, wanted)
    heard = _witnesses(witnesses, with_format, with_zone)
    _check_written(
        [*(one.file for one in formats), rows],
        [*files, *config, *events, with_format, *(one.path for one in heard)],
    )
    folder = None if no_cache else default_folder(os.environ)
    inquiry = Inquiry(
        words=files,
        given=Given(
            timers=Timers(idle_timeout, keep_alive, deregistration_delay),
            config=config,
            events=events,
            witnesses=heard,
            services=ecs,
            live=live,
            aws=AwsOptions(profile, region, endpoint_url),
            solve=_solve,
        ),
        wanted=wanted,
        engine=engine,
        jobs=jobs,
        cache=Cache(folder) if folder is not None else None,
        keep_all=keep_all,
        rows=rows,
        master=spark_master,
        athena=Athena(
            database=athena_database or DATABASE,
            table=athena_table,
            workgroup=athena_workgroup,
            output=athena_output,
        ),
        yes=yes,
    )
    diagnosis = inquire(inquiry, sys.stdin.buffer, _Watch())
    _write_all(formats, diagnosis)
    if diagnosis.partial is not None:
        return _INTERRUPTED
    accounting = diagnosis.accounting
    if accounting.judged + accounting.fine == 0:
        return NothingToRead.exit_code
    if _too_many(diagnosis, *max_rejects):
        return _TOO_MANY_REJECTED
    return int(diagnosis.failed)


def _trino(words: tuple[str, ...], wanted: Wanted) -> int:
    """Raises: UsageError: there is more than one location."""
    from keepalign.logs.engines.trino import script

    if len(words) != 1:
        raise UsageError("--engine trino prints SQL for one location at a time")
    click.echo(script(words[0], wanted), nl=False)
    return 0


def _too_many(diagnosis: Diagnosis, most: float, share: bool) -> bool:
    """Whether more lines were rejected than `most`, of what was not pasted and is no other log's; it is said
    on standard error."""
    read = [one for one in diagnosis.files if not one.skipped and one.name != "-"]
    counted, foreign = [one.accounting for one in read], sum(one.foreign for one in read)
    rejected, lines = sum(one.rejected for one in counted) - foreign, sum(one.lines for one in counted)
    limit = most / 100 * lines if share else most
    if rejected <= limit:
        return False
    click.echo(
        f"error: {rejected:,} of {lines:,} lines could not be read\nhint: the first of them are listed above;"
        " --max-rejects raises the limit",
        err=True,
    )
    return True


class _Watch:
    """Progress on standard error: a bar on a terminal."""

    def say(self, sentence: str) -> None:
        click.echo(sentence, err=True)

    def agreed(self, question: str) -> bool:
        return sys.stdin.isatty() and click.confirm(question, err=True)

    @contextmanager
    def reading(self, size: int) -> Iterator[Callable[[int], None]]:
        if not sys.stderr.isatty():
            yield lambda _read: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        # Without a thread of its own, workers can be forked; it is drawn when something was read.
        bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        with bar:
            shown = bar.add_task("reading", total=size or None)

            def report(read: int) -> None:
                bar.update(shown, completed=read, refresh=True)

            yield report


def _witnesses(words: tuple[str, ...], formats: str, zone: str) -> tuple[Witness, ...]:
    if not words:
        return ()
    from keepalign.logs.witness.files import Witness

    if formats and Path(formats).is_file():
        try:
            formats = Path(formats).read_text("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"{formats}: {error.strerror}") from error
    return tuple(Witness.parse(word, formats=formats, zone=zone) for word in words)


def _solve(loaded: Loaded) -> Solved:
    """Values that suit each other along the whole path; where there are none, each as its rule has it."""
    from keepalign import fix, rules
    from keepalign.errors import UnsolvablePath
    from keepalign.logs.configured import Solved

    try:
        mended = fix.repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
    except UnsolvablePath:
        return Solved(rules.check(loaded.stack))
    return Solved(mended.before, mended.plan.changes, fix.roll_out(mended.plan.changes, loaded.stack))


def _check_written(written: Sequence[str], read: Sequence[str]) -> None:
    """Hours later would be late to say so, and what was read would be lost.

    Raises: UsageError: a file's folder is not there, or it is written twice, or read and written.
    """
    taken = {os.path.realpath(name): "which is read" for name in read if os.path.isfile(name)}
    for name in filter(None, written):
        real = os.path.realpath(name)
        if not os.path.isdir(os.path.dirname(real)):
            hint = "make it, or name another file"
            raise UsageError(f"{name}: there is no folder {os.path.dirname(real)}", hint=hint)
        if os.path.isdir(real):
            raise UsageError(f"{name}: it is a folder", hint="name a file in it")
        # What is a device or a pipe takes whatever comes.
        if real in taken and (os.path.isfile(real) or not os.path.exists(real)):
            raise UsageError(f"{name}: this would be written over a file {taken[real]}")
        taken[real] = "which is written, too"


def _write_all(outputs: Sequence[Output], diagnosis: Diagnosis) -> None:
    """Files first: whoever reads standard output may leave, and one that fails does not keep others back.

    Raises: UsageError: an output cannot be written.
    """
    failed: UsageError | None = None
    for output in sorted(outputs, key=lambda one: not one.file):
        try:
            _write(output, diagnosis)
        except UsageError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _write(output: Output, diagnosis: Diagnosis) -> None:
    """Raises: UsageError: the output cannot be written."""
    match output.format:
        case "json":
            from keepalign.reports import diagnosis_v1

            _options.emit(output, diagnosis_v1.render(diagnosis))
        case "markdown":
            from keepalign.reports import diagnosis_markdown

            _options.emit(output, diagnosis_markdown.render(diagnosis))
        case "html":
            from keepalign.reports import diagnosis_page

            _options.emit(output, diagnosis_page.render(diagnosis))
        case _:
            from keepalign.logs.alb import EXAMPLE
            from keepalign.reports.diagnosis import report

            _options.emit_lines(output, report(diagnosis, expected=EXAMPLE))
