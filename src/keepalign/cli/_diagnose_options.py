"""The options of `keepalign diagnose`, in the sections in which its help lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click

from keepalign.cli import _moments, _options
from keepalign.cli._options import F

_MOST_REJECTED: Final = "10%"


def _section(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _rejects(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, bool]:
    """A number, or a share of all lines with True."""
    number = value.removesuffix("%")
    try:
        most = float(number) if number != value else int(number)
    except ValueError:
        most = -1
    if not 0 <= most <= (100 if number != value else 10**15):
        raise click.BadParameter(f"{value!r} is neither a number of lines nor a share such as 1%")
    return most, number != value


output = _section(
    click.option(
        "--format",
        "formats",
        multiple=True,
        callback=_options.outputs_of("text", "json", "markdown", "html"),
        metavar="FORMAT[=FILE]",
        help="text (the default), json, markdown for the ticket, or html, one page with charts; to standard"
        " output or to FILE; repeatable.",
    ),
    click.option(
        "--rows",
        default="",
        metavar="FILE",
        help="Write every error line with its cause: .csv, .jsonl or .parquet.",
    ),
    click.option(
        "--max-rejects",
        default=_MOST_REJECTED,
        show_default=True,
        callback=_rejects,
        metavar="N|N%",
        help="Exit code 5 when more lines cannot be read; lines that are pasted do not count.",
    ),
)
which = _section(
    click.option(
        "--since",
        type=_moments.moment,
        metavar="TIME",
        help="Errors from this time on: ISO 8601 (UTC unless it says otherwise), or 2h for two hours ago.",
    ),
    click.option("--until", type=_moments.moment, metavar="TIME", help="Errors before this time."),
    click.option(
        "--target-group", default="", metavar="NAME", help="Errors of this target group: its name or ARN."
    ),
    click.option("--path", default="", metavar="GLOB", help="Errors of paths like this: '/api/*'."),
)
beside = _section(
    click.option(
        "--config",
        multiple=True,
        metavar="PATH",
        type=click.Path(exists=True),
        help="The stack's configuration, as for check: then the answer names the line to change. A folder"
        " of logs is looked through without being asked.",
    ),
    click.option(
        "--with",
        "witnesses",
        multiple=True,
        metavar="[TARGET=]FILE",
        help="Access or error log of the servers behind: nginx, Apache, Envoy, gunicorn.",
    ),
    click.option(
        "--with-format",
        default="",
        metavar="TEXT",
        help="The log_format (nginx) or LogFormat (Apache) of the logs --with names, or a file with it.",
    ),
    click.option(
        "--with-zone",
        default="",
        metavar="ZONE",
        help="The time zone of times in them that state none: Europe/Berlin.",
    ),
    click.option(
        "--events",
        multiple=True,
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Deployments: ECS, EventBridge or CloudTrail events as JSON, or lines of time,target.",
    ),
    click.option(
        "--ecs", multiple=True, metavar="CLUSTER/SERVICE", help="Ask ECS for the deployments; read only."
    ),
    click.option(
        "--live", is_flag=True, help="Ask AWS for the timers of the balancers in the log; read only."
    ),
    click.option(
        "--idle-timeout",
        type=_options.duration,
        metavar="DURATION",
        help="The load balancer's idle timeout; else read off the lines where they show it.",
    ),
    click.option(
        "--keep-alive",
        type=_options.duration,
        metavar="DURATION",
        help="The keep-alive timeout of the targets' servers.",
    ),
    click.option(
        "--deregistration-delay",
        type=_options.duration,
        metavar="DURATION",
        help="The target group's deregistration delay.",
    ),
)
how = _section(
    click.option(
        "--engine",
        type=click.Choice(["local", "duckdb", "spark", "athena", "trino"]),
        default="local",
        show_default=True,
        help="Where error lines are found: local (processes of this machine), duckdb, spark or athena; trino"
        " prints the SQL.",
    ),
    click.option(
        "--jobs", default=0, metavar="N", type=click.IntRange(0, 256), help="Worker processes; 0: one a core."
    ),
    click.option("--no-cache", is_flag=True, help="Neither use nor keep what was read before."),
    click.option("--keep-all", is_flag=True, help="Keep a slim table of all lines in the cache too."),
    click.option(
        "--spark-master", default="", metavar="URL", help="The Spark master; else as Spark is configured."
    ),
    click.option(
        "--athena-workgroup",
        default="primary",
        show_default=True,
        metavar="NAME",
        help="The workgroup whose settings and limits hold.",
    ),
    click.option(
        "--athena-output",
        default="",
        metavar="S3URL",
        help="Where Athena puts results; else where the workgroup says.",
    ),
    click.option(
        "--athena-table",
        default="",
        metavar="NAME",
        help="A table made as AWS's guide says; else one is made.",
    ),
    click.option(
        "--athena-database", default="", metavar="NAME", help="The database of that table; else keepalign."
    ),
    click.option("--yes", is_flag=True, help="Do not ask before Athena scans more than 20 GB."),
    click.option("--profile", default="", metavar="NAME", help="The AWS profile; else as boto3 finds it."),
    click.option("--region", default="", metavar="NAME", help="The AWS region; else as boto3 finds it."),
    click.option(
        "--endpoint-url", default="", metavar="URL", help="Where S3, ECS, ELB and Athena are asked; else AWS."
    ),
)
