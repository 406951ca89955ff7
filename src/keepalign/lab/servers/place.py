"""Where one server of a scenario runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from keepalign.errors import LabError
from keepalign.lab.recipes import stand_in
from keepalign.lab.scale import Scale
from keepalign.lab.tasks import declared
from keepalign.model.path import Hop
from keepalign.model.workload import Endpoint, Workload


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server of a scenario runs.

    Args:
        folder: its own, absolute, and it exists; configuration, logs and pid files go there.
        port: to listen on, on 127.0.0.1.
        backend: port of the hop behind it, on 127.0.0.1; None: it answers itself.
        scale: every time is divided by it, and rounded up to the product's granularity.
        endpoints: what its application answers, in life.
    """

    folder: Path
    port: int
    backend: int | None
    scale: Scale
    endpoints: tuple[Endpoint, ...]

    def environment(self) -> dict[str, str]:
        """A whole environment for a server in this place, with what its application answers."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # gunicorn keeps its control socket there
            "PYTHONDONTWRITEBYTECODE": "1",
            stand_in.VARIABLE: declared(Workload(self.endpoints), self.scale),
        }

    def needs_no_backend(self, hop: Hop) -> None:
        """Raises: LabError: there is a hop behind an application, which calls nobody."""
        if self.backend is not None:
            raise LabError(
                f"{hop.name}: {hop.product} runs as an application here, so nothing can stand behind it",
                hint="make it the last hop of the path",
            )

    def needs_no_application(self, hop: Hop) -> None:
        """Raises: LabError: a server that can only answer at once is asked to be slow."""
        slow = [e for e in self.endpoints if e.longest_silence or e.longest_request]
        if self.backend is None and slow:
            raise LabError(
                f"{hop.name}: {hop.product} answers at once when nothing stands behind it, "
                f"and {slow[0].path} takes longer",
                hint="put an application behind it, or declare quick endpoints only",
            )
