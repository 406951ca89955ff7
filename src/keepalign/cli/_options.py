"""Options that several verbs share."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from keepalign.cli import debug_option
from keepalign.errors import UsageError
from keepalign.units import Duration

if TYPE_CHECKING:
    from keepalign.join import Loaded
    from keepalign.model.fingerprint import Names
    from keepalign.reports._lines import Line

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
        files = [output.file for output in outputs]
        if files.count("") > 1:
            raise click.BadParameter("two formats for standard output; write one to a file: FORMAT=FILE")
        if twice := next((file for file in files if files.count(file) > 1), ""):
            raise click.BadParameter(f"two formats for {twice}; give each a file of its own")
        return tuple(outputs) or (Output("text", ""),)

    return convert


def completed(
    *known: str,
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """For the shell: those of `known` that go on from what is typed."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return complete


def emit(output: Output, data: bytes) -> None:
    """To standard output, or to the file: whole, or as it was.

    Raises: UsageError: the file cannot be written.
    """
    try:
        if output.file:
            _replace(Path(output.file), data)
        else:
            click.echo(data, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{output.file or 'standard output'}: {error.strerror}") from error


def emit_lines(output: Output, lines: Iterable[Line]) -> None:
    """As emit(); in colour where standard output is a terminal."""
    from keepalign.reports import terminal

    file = io.StringIO() if output.file else sys.stdout
    try:
        terminal.show(lines, file)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"standard output: {error.strerror}") from error
    if isinstance(file, io.StringIO):
        emit(output, file.getvalue().encode("utf-8", "replace"))


def _replace(path: Path, data: bytes) -> None:
    """Write beside `path` and rename over it; a device or a pipe is written to as it is."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)  # it can only be asked by setting it
    os.umask(mask)
    return mask


def inputs(function: F) -> F:
    """What to read, and what no file says: `paths`, `in_front`, `longest_request`, `longest_silence`."""
    for decorate in reversed(
        (
            click.argument(
                "paths",
                nargs=-1,
                required=True,
                metavar="PATH...",
                type=click.Path(exists=True, allow_dash=True),
            ),
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
    """What the inputs() of a verb name, read and joined.

    Raises: UsageError: standard input is named twice, or is a terminal.
    """
    from keepalign.join import load_stack

    return load_stack(
        paths,
        in_front=in_front,
        longest_request=longest_request,
        longest_silence=longest_silence,
        standard_input=_standard_input() if _reads_standard_input(paths) else b"",
    )


def names() -> Names:
    """What files are called in reports for other programs: from the root of the repository that the working
    folder lies in, or from the working folder."""
    from keepalign.model.fingerprint import Names

    here = Path.cwd()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    return Names(str(top), str(here))


def documentation() -> str:
    """The address of the folder of the causes' pages, as the package's metadata has it; empty for none."""
    from importlib import metadata

    try:
        urls = metadata.metadata("keepalign").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    known = dict(url.split(", ", 1) for url in urls if ", " in url)
    address = known.get("Documentation", "").rstrip("/")
    return f"{address}/reference/causes/" if address else ""


def _reads_standard_input(paths: tuple[str, ...]) -> bool:
    """Raises: UsageError: twice."""
    if paths.count("-") > 1:
        raise UsageError("standard input (-) is given twice", hint="give - once, and other plans as files")
    return "-" in paths


def _standard_input() -> bytes:
    """All of it, or just more than the largest plan. Raises: UsageError: it is a terminal, or closed."""
    from keepalign.readers.terraform.plan import LARGEST_PLAN

    hint = "terraform show -json tfplan | keepalign check -"
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("- reads a Terraform plan from standard input, which is closed", hint=hint)
    if sys.stdin.isatty():
        raise UsageError("- reads a Terraform plan from standard input, which is a terminal", hint=hint)
    try:
        return sys.stdin.buffer.read(LARGEST_PLAN + 1)
    except OSError as error:
        raise UsageError(f"standard input cannot be read: {error.strerror}", hint=hint) from error
