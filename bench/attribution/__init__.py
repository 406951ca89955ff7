"""How right the judge of access logs is, on incidents that happened: `python -m bench.attribution`.

Incidents of every cause are played against real servers in real time, several side by side, through the lab's
balancer. What caused each error is known from what was done (signals, kills, deregistrations, faults asked of
the application) and from the balancer's own record of its timers and connections; no log line is read for it.

    spec        what an incident is            incidents   the catalogue, by split and seed
    maker       draws its parameters           mixtures    incidents with several causes
    traffic     its requests                   clients     send them
    stacks      a task's servers               fleet       tasks, and what is done to them
    truth       the cause of each error line   play        one incident → its folder
    generated   lines by signature, for what the lab cannot do
    score       the judge over a corpus: per cause, and the confusion matrix
"""

from __future__ import annotations

import tempfile
from pathlib import Path


def run() -> None:
    """Play the held-out split and score it: about half an hour."""
    from bench.attribution import make, score

    with tempfile.TemporaryDirectory(prefix="keepalign-attribution-") as folder:
        make.corpus(Path(folder), ("heldout",))
        score.show(Path(folder) / "heldout")
