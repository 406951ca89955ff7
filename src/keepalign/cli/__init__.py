"""The command line: arguments and exit codes, no logic. One module per verb, imported when it is called.

Results go to standard output, everything else to standard error. Exit codes (docs/reference/cli.md): 0 clean,
1 findings, 2 usage, 3 nothing to read, 4 credentials, 5 could not measure, 70 a fault of keepalign's own,
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
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
_SOON_S: Final = 0.01
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


class Ended(SystemExit):
    """A signal asks the process to end."""


class _EndInOrder:
    """Makes an exception of a signal to end, so that every `with` on the way out is left in order: no
    temporary folder stays behind, no file half written, no worker at work. `asked`: the signal, or 0."""

    def __init__(self) -> None:
        self.asked = 0
        self._process = os.getpid()
        self._hook = sys.unraisablehook
        self._taken: list[signal.Signals] = []
        if os.name == "posix":
            asks = signal.SIGTERM, signal.SIGHUP, signal.SIGALRM
            # nohup ignores SIGHUP, and means it.
            self._taken = [number for number in asks if signal.getsignal(number) is signal.SIG_DFL]

    def __enter__(self) -> _EndInOrder:
        sys.unraisablehook = self._swallowed
        for number in self._taken:
            signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> bool:
        if self._taken:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = self._hook
        return self.asked != 0

    def _end(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            # In a worker that was forked: it has nothing to leave in order.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if number == signal.SIGALRM and not self.asked:
            raise KeyboardInterrupt
        self.asked = self.asked or number
        # A terminal that is closed sends several; none may end the clearing up.
        for each in {signal.SIGTERM, signal.SIGHUP}.intersection(self._taken):
            signal.signal(each, signal.SIG_IGN)
        # A pool waits for what its workers do.
        workers = getattr(sys.modules.get("multiprocessing.process"), "active_children", list)
        for worker in workers():
            worker.kill()
        raise Ended

    def _swallowed(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Beside a fork, and where an object ends, Python passes an exception over: then once more, soon."""
        again = issubclass(unraisable.exc_type, (Ended, KeyboardInterrupt))
        if again and self._taken:
            signal.setitimer(signal.ITIMER_REAL, _SOON_S)
        else:
            self._hook(unraisable)


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
    """The entry point: ends the process with the exit code, or by the signal that asked it to end."""
    _open_standard_streams()
    with _EndInOrder() as end:
        code = run(sys.argv[1:], ending=lambda: end.asked != 0)
    if end.asked:
        signal.raise_signal(end.asked)
    _quiet_exit(code)


def run(arguments: Sequence[str], *, ending: Callable[[], bool] = lambda: False) -> int:
    """One call of the command line; prints what it has to say and returns the exit code.

    Args:
        ending: whether the process was asked to end: then what fails is a consequence, and is raised.
    """
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
        if session.debug or ending():
            raise
        click.echo(_harmless(f"error: {error}"), err=True)
        if error.hint:
            click.echo(_harmless(f"hint: {error.hint}"), err=True)
        return error.exit_code
    except Exception as error:
        if session.debug or ending():
            raise
        click.echo(
            _harmless(f"error: a fault of keepalign itself: {type(error).__name__}: {error}\n")
            + "hint: run the same command with --debug and report what it prints",
            err=True,
        )
        return _OWN_FAULT


def _harmless(text: str) -> str:
    """Names of files and keys are foreign: what a terminal would obey is written as an escape."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _open_standard_streams() -> None:
    """Stand-ins for those that were closed, whose place a file that is opened would take: reading from them
    or writing to them fails. What is said to nobody is no failure."""
    for number, (name, mode, flag) in enumerate(
        (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
    ):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flag)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 # to the end


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
