"""What `prove` and `demo` share: running the loop, the progress bar, Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from keepalign.join import Loaded
    from keepalign.prove.proof import Proven


def run_proof(loaded: Loaded, *, seed: int, keep: bool, folder: Path | None = None) -> Proven:
    """Prove `loaded` with a progress bar on standard error. Ctrl-C ends every process and removes folders."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from keepalign.lab.loop import run
    from keepalign.prove.proof import Progress as Step
    from keepalign.prove.proof import prove

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        shown = bar.add_task("starting", total=None)

        def report(step: Step) -> None:
            bar.update(shown, description=step.phase, completed=step.done, total=step.total or None)

        return run(prove(loaded, seed=seed, keep=keep, folder=folder, report=report))
