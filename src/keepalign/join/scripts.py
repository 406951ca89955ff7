"""Entrypoint and CMD of a container, and what the scripts that they name end in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keepalign.join import images
from keepalign.join.program import Start
from keepalign.readers import gunicorn
from keepalign.readers._fragments import DockerfileFragment, ScriptFragment
from keepalign.readers._reader import CommandLine
from keepalign.readers.shell import ScriptReader, Variable, unwrap
from keepalign.readers.tree import Tree

_SHELLS: Final = frozenset({"ash", "bash", "dash", "sh"})


class Scripts:
    """The scripts of one tree. `used`: takes the files of those that a container starts."""

    def __init__(self, tree: Tree, used: set[str]) -> None:
        self._tree = tree
        self._used = used

    def started(
        self,
        entrypoint: CommandLine | None,
        command: CommandLine | None,
        dockerfile: DockerfileFragment | None,
        environment: Mapping[str, str | None],
    ) -> tuple[CommandLine | None, Mapping[str, str | None], str]:
        """What a container executes and what that may see; why its entrypoint is unknown, empty when it is
        not.

        Args:
            environment: of image and task definition.
        """
        script, why = self._script(entrypoint, dockerfile)
        line = _joined(entrypoint, command)
        if line is not None:
            reason = "it is set when the container starts"
            line = unwrap(line, {name: Variable(text, reason=reason) for name, text in environment.items()})
        if script is not None:
            script = ScriptReader().read_script(self._tree.sources[script.file], environment)
        if script is not None and script.command is not None and entrypoint is not None:
            environment = {**environment, **script.environment}
            rest = replace(entrypoint, words=entrypoint.words[1:], behind=())
            line = gunicorn.splice(script.command, _joined(rest, command))
            line = replace(line, behind=(*entrypoint.behind, *line.behind))
        return line, environment, why

    def within(self, start: Start) -> Start | None:
        """What the script that a command starts ends in, and what that may see: `CMD ["./start.sh"]`,
        `sh x.sh`; None where it starts none, or the script does not say."""
        line = start.line
        if line is None:
            return None
        own = line
        if line.words and os.path.basename(line.words[0].text or "") in _SHELLS:
            own = replace(line, words=line.words[1:])
        script, _ = self._script(own, start.dockerfile)
        if script is None:
            return None
        script = ScriptReader().read_script(self._tree.sources[script.file], start.environment)
        if script.command is None:
            return None
        inner = gunicorn.splice(script.command, replace(own, words=own.words[1:], behind=()))
        inner = replace(inner, behind=(*line.behind, *inner.behind))
        return replace(start, line=inner, environment={**start.environment, **script.environment})

    def _script(
        self, entrypoint: CommandLine | None, dockerfile: DockerfileFragment | None
    ) -> tuple[ScriptFragment | None, str]:
        """The script that the entrypoint's first word names, or why it is unknown; neither for a program."""
        if entrypoint is None or not entrypoint.words or entrypoint.words[0].text is None:
            return None, ""
        path = entrypoint.words[0].text
        wanted = os.path.basename(path)
        named = {s.file: s for s in self._tree.scripts if os.path.basename(s.file) == wanted}
        # The Dockerfile says which one it copies; else only one of this name can be meant.
        files = images.copied(dockerfile, named) if dockerfile is not None else []
        files = files if files else list(named)
        if len(files) == 1:
            self._used.add(files[0])
            return named[files[0]], ""
        if files:
            return None, f"the entrypoint {path} may be {' or '.join(files)}; give the folder of one only"
        if wanted.endswith(".sh") or "entrypoint" in wanted:
            return None, f"its entrypoint {path} is not in the given folders; give the folder that holds it"
        return None, ""


def _joined(first: CommandLine | None, second: CommandLine | None) -> CommandLine | None:
    """ENTRYPOINT and CMD as one line."""
    if first is None or second is None or not second.words:
        return second if first is None else first
    words = (*first.words, *second.words)
    return replace(second, words=words, behind=(*first.behind, *second.behind))
