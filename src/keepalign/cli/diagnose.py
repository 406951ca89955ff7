"""`keepalign diagnose`: the cause of each error in access-log lines, without any configuration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from keepalign.cli import _options, debug_option
from keepalign.cli._options import Output
from keepalign.errors import NothingToRead
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.model.observation import Diagnosis

_STDIN = "-"


@click.command(
    "diagnose",
    short_help="Name the cause of each 5xx in pasted ALB access-log lines.",
    epilog="Example: aws s3 cp s3://BUCKET/KEY.log.gz - | keepalign diagnose -",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_options.outputs_of("text", "json"),
    metavar="FORMAT[=FILE]",
    help="text (the default) or json, to standard output or to FILE; repeatable.",
)
@click.option(
    "--idle-timeout",
    type=_options.duration,
    metavar="DURATION",
    help="Of the load balancer; else read off the lines where they show it.",
)
@click.option(
    "--keep-alive",
    type=_options.duration,
    metavar="DURATION",
    help="Keep-alive timeout of the targets' servers.",
)
@click.option(
    "--deregistration-delay", type=_options.duration, metavar="DURATION", help="Of the target group."
)
@debug_option
def command(
    files: tuple[str, ...],
    formats: tuple[Output, ...],
    idle_timeout: Duration | None,
    keep_alive: Duration | None,
    deregistration_delay: Duration | None,
) -> int:
    """Name the cause of each error in lines of an ALB access log.

    FILE... are access logs, plain or gzip, or - for standard input: paste lines as you have them, also
    quoted, wrapped, or behind what grep puts before them. No configuration is needed; the timers that you
    state make the answer surer. Exit code 1: there are errors among the lines; 3: no line could be read.
    """
    from keepalign.logs.diagnosis import diagnose
    from keepalign.logs.paste import Reading
    from keepalign.logs.sources import read_file, read_stream
    from keepalign.model.observation import Timers

    reading = Reading()
    for name in dict.fromkeys(files):
        if name != _STDIN:
            read_file(name, reading)
            continue
        if sys.stdin.isatty():
            click.echo("Paste lines of an ALB access log, then press Ctrl-D.", err=True)
        read_stream(sys.stdin.buffer, name=name, into=reading)
    diagnosis = diagnose(reading, Timers(idle_timeout, keep_alive, deregistration_delay))
    for output in formats:
        _write(output, diagnosis)
    if not reading.rows:
        return NothingToRead.exit_code
    return int(diagnosis.failed)


def _write(output: Output, diagnosis: Diagnosis) -> None:
    """Raises: UsageError: the output cannot be written."""
    if output.format == "json":
        from keepalign.reports import diagnosis_v1

        _options.emit(output, diagnosis_v1.render(diagnosis))
        return
    from keepalign.logs.alb import EXAMPLE
    from keepalign.reports.diagnosis import report

    _options.emit_lines(output, report(diagnosis, expected=EXAMPLE))
