"""The command line: arguments and exit codes, no logic. One module per verb, imported when it is called.

Results go to standard output, everything else to standard error. Exit codes (docs/reference/cli.md): 0 clean,
1 findings, 2 usage, 3 nothing to read, 4 credentials, 5 could not measure, 70 a fault of keepalign's own,
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, NoReturn, TextIO

import click

import keepalign
from keepalign.errors import KeepalignError

COMMANDS: Final[Mapping[str, str]] = {
    "check": "keepalign.cli.check",
    "fix": "keepalign.cli.fix",
    "explain": "keepalign.cli.explain",
    "prove": "keepalign.cli.prove",
    "lab": "keepalign.cli.lab",
    "diagnose": "keepalign.cli.diagnose",
    "demo": "keepalign.cli.demo",
}
"""Verb to module; the module holds a command named `command`."""

_OWN_FAULT: Final = 70
_INTERRUPTED: Final = 130
_READER_GONE: Final = 141
"""As the shell reports a program that SIGPIPE ended: `keepalign check . | head`."""


@dataclass(slots=True)
class Session:
    """What the options of one call set for the handling of its errors."""

    debug: bool = False


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        import logging

        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("keepalign").setLevel(logging.DEBUG)
        if isinstance(ctx.obj, Session):
            ctx.obj.debug = True


debug_option: Final = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Log to standard error, and show tracebacks.",
)
"""Taken before and after the verb."""


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Raises: ReaderGone: standard output was closed. click itself would end with 1, our "findings"."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error
        return code


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Exit codes: 0 clean; 1 findings; 2 usage; 3 nothing to read; 4 credentials; 5 could not measure;"
    " 70 a fault of keepalign; 130 interrupted.",
)
@debug_option
@click.version_option(keepalign.__version__, "-V", "--version", message="keepalign %(version)s")
def cli() -> None:
    """Find, prove and fix the timeout that makes your load balancer answer 502 or 504.

    Nothing is changed unless you say --write. Nothing calls home; only diagnose asks AWS, where told.

    \b
    Completion in this shell (also zsh_source, fish_source):
      eval "$(_KEEPALIGN_COMPLETE=bash_source keepalign)"
    """


def main() -> NoReturn:
    """The entry point: ends the process with the exit code."""
    code = run(sys.argv[1:])
    _quiet_exit(code)


def run(arguments: Sequence[str]) -> int:
    """One call of the command line; prints what it has to say and returns the exit code."""
    session = Session()
    _tolerate(sys.stdout)
    _tolerate(sys.stderr)
    try:
        # A command returns its exit code; click returns the code of --help and --version.
        code = cli.main(list(arguments), prog_name="keepalign", standalone_mode=False, obj=session)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except ReaderGone:
        return _READER_GONE
    except KeepalignError as error:
        if session.debug:
            raise
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        return error.exit_code
    except Exception as error:
        if session.debug:
            raise
        click.echo(
            f"error: a fault of keepalign itself: {type(error).__name__}: {error}\n"
            "hint: run the same command with --debug and report what it prints",
            err=True,
        )
        return _OWN_FAULT


def _tolerate(stream: TextIO) -> None:
    """A terminal that lacks a character shows a question mark instead of an error of ours."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _quiet_exit(code: int) -> NoReturn:
    if code == _READER_GONE:
        # What is left in the buffer has no reader: the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
