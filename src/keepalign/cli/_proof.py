"""What `prove`, `demo` and `lab` share: running the loop, and showing how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from rich.console import Console

    from keepalign.join import Loaded
    from keepalign.model.checked import Change
    from keepalign.prove.proof import Progress as Step
    from keepalign.prove.proof import Proven


T = TypeVar("T")


def changes_of(proven: Proven) -> list[str]:
    """The edits of the fix in words, each once."""
    return list(dict.fromkeys(_in_words(change) for change in proven.repair.plan.changes))


def _in_words(change: Change) -> str:
    return f"{change.setting.option} of {change.hop} → {change.value}"


def run_proof(loaded: Loaded, *, seed: int, keep: bool, folder: Path | None = None) -> Proven:
    """Prove `loaded`. On standard error: a bar on a terminal, else a line per phase.

    Ctrl-C ends every process and removes every folder before it is raised.
    """
    from rich.console import Console

    from keepalign.lab.loop import run
    from keepalign.prove.proof import prove

    console = Console(stderr=True)
    if console.is_terminal:
        return _with_bar(loaded, console, seed=seed, keep=keep, folder=folder)
    told = ""

    def report(step: Step) -> None:
        nonlocal told
        if step.phase != told:
            told = step.phase
            click.echo(told, err=True)

    return run(prove(loaded, seed=seed, keep=keep, folder=folder, report=report))


def with_progress(title: str, start: Callable[[Callable[[int, int], None]], Coroutine[None, None, T]]) -> T:
    """Run what `start` makes of a function that is told (done, total). On standard error: a bar on a
    terminal, else the title.

    Ctrl-C ends every process and removes every folder before it is raised.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from keepalign.lab.loop import run

    console = Console(stderr=True)
    if not console.is_terminal:
        click.echo(title, err=True)
        return run(start(lambda _done, _total: None))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(title, total=None)
        return run(start(lambda done, total: bar.update(shown, completed=done, total=total or None)))


def _with_bar(loaded: Loaded, console: Console, *, seed: int, keep: bool, folder: Path | None) -> Proven:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from keepalign.lab.loop import run
    from keepalign.prove.proof import prove

    # The bar beside its longest text fits into 80 columns.
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("starting", total=None)

        def report(step: Step) -> None:
            bar.update(shown, description=step.phase, completed=step.done, total=step.total or None)

        return run(prove(loaded, seed=seed, keep=keep, folder=folder, report=report))
