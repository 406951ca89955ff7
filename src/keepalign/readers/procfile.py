"""Procfile: the command of each process type. `web` is the one that answers requests.

The platform (Heroku, dokku, Elastic Beanstalk) hands a command to a shell, with what stands in the folder as
the working directory; so a Procfile is an image whose command is that of `web` and that holds the folder.

Source: devcenter.heroku.com/articles/procfile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import CommandLine, Fragment, Note
from keepalign.readers._yaml import Fields, read_documents
from keepalign.readers.shell import replacing, unwrap, words

_PROCESS: Final = re.compile(rb"^([A-Za-z0-9_-]+):[ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_FOLDER: Final = "/app"
"""Where Heroku and dokku put what they build."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process type. `command` is None where a shell would refuse it, or nothing stands there."""

    name: str
    command: CommandLine | None
    place: Span


@dataclass(frozen=True, slots=True)
class ProcfileFragment(Fragment):
    """One Procfile, its process types in order; of two alike the last one counts, as for its readers.

    Args:
        environment: what `app.json` beside it sets; None for what somebody has to enter.
    """

    processes: tuple[Process, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def image(self) -> DockerfileFragment | None:
        """What `web` runs, as an image that holds the folder; None without such a process."""
        web = next((one for one in reversed(self.processes) if one.name == "web"), None)
        if web is None or web.command is None:
            return None
        return DockerfileFragment(
            file=self.file,
            base_span=web.place,
            cmd=web.command,
            cmd_is_shell_form=True,
            copies=(((".",), _FOLDER),),
            environment=self.environment,
            workdir=_FOLDER,
        )


class ProcfileReader:
    """Reads Procfiles."""

    name = "procfile"

    def recognise(self, path: str, head: bytes) -> bool:
        """Procfile. Others (Procfile.dev, Procfile.local) start things on a developer's machine."""
        return os.path.basename(path) == "Procfile"

    def read(
        self, source: SourceText, environment: Mapping[str, str | None] | None = None
    ) -> ProcfileFragment:
        """Its process types. There is no text that it cannot read: what a shell would refuse is noted.

        Args:
            environment: what `app_json` says.
        """
        processes = []
        notes = []
        for match in _PROCESS.finditer(source.data):
            place = source.span(match.start(), match.end(2))
            command = None
            try:
                found = replacing(words(source, match.start(2), match.end(2)))
                command = unwrap(found.line) if found is not None else None
            except ReadError as error:
                notes.append(Note(place, f"the command is not understood: {error.message}"))
            processes.append(Process(match[1].decode("ascii"), command, place))
        return ProcfileFragment(
            source.file, processes=tuple(processes), environment=environment or {}, notes=tuple(notes)
        )


def app_json(source: SourceText) -> dict[str, str | None]:
    """What the `env` of an app.json beside a Procfile sets at first; None for what somebody has to enter.

    Raises: ReadError: it is no JSON that can be understood.
    """
    found: dict[str, str | None] = {}
    for document in read_documents(source)[:1]:
        env = document.fields("env") if isinstance(document, Fields) else None
        for name in env.names if env is not None else ():
            one = env.get(name) if env is not None else None
            if isinstance(one, Fields):
                found[name] = one.text("value")
            elif env is not None:
                found[name] = env.text(name)
    return found
