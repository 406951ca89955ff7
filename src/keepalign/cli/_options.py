"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from keepalign.cli import debug_option
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.join import Loaded

F = TypeVar("F", bound=Callable[..., object])


def duration(text: str) -> Duration:
    """An option's value with its unit: 60s, 1m30s, 1500ms. Raises: click.BadParameter."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@dataclass(frozen=True, slots=True)
class Output:
    """One `--format`: `file` is empty for standard output."""

    format: str
    file: str


def outputs_of(
    *known: str,
) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[Output, ...]]:
    """A callback for a repeatable `--format FORMAT[=FILE]`: text on standard output when none is given.

    Raises: click.BadParameter: a format that is not `known`, or two that share standard output.
    """

    def convert(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[Output, ...]:
        outputs: list[Output] = []
        for text in value:
            name, sign, file = text.partition("=")
            if name not in known or (sign and not file):
                raise click.BadParameter(f"{text!r} is none of {', '.join(known)}, nor FORMAT=FILE")
            outputs.append(Output(name, file))
        if sum(not output.file for output in outputs) > 1:
            raise click.BadParameter("two formats for standard output; write one to a file: FORMAT=FILE")
        return tuple(outputs) or (Output("text", ""),)

    return convert


def inputs(function: F) -> F:
    """What to read, and what no file says: `paths`, `in_front`, `longest_request`, `longest_silence`."""
    for decorate in reversed(
        (
            click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True)),
            click.option(
                "--in-front",
                multiple=True,
                metavar="KIND:OPTIONS",
                help="A balancer that no file describes, for example aws-alb:idle_timeout=60s",
            ),
            click.option(
                "--longest-request",
                type=duration,
                metavar="DURATION",
                help="The longest whole exchange, of requests that keepalign.toml does not name.",
            ),
            click.option(
                "--longest-silence",
                type=duration,
                metavar="DURATION",
                help="The longest time without a byte of the response, of the same requests.",
            ),
            debug_option,
        )
    ):
        function = decorate(function)
    return function


def load(
    paths: tuple[str, ...],
    in_front: tuple[str, ...],
    longest_request: Duration | None,
    longest_silence: Duration | None,
) -> Loaded:
    """What the inputs() of a verb name, read and joined."""
    from keepalign.join import load_stack

    return load_stack(
        paths, in_front=in_front, longest_request=longest_request, longest_silence=longest_silence
    )
