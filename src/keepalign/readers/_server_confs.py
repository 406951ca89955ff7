"""Which files of a tree may configure an application server: nothing else of its kind is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from keepalign.readers._aws import AwsFragment
from keepalign.readers._fragments import DockerfileFragment, ScriptFragment

# As far as a look at words tells: `-c x`, `--config=x`, also inside `sh -c '…'`.
_CONFIG_FLAG: Final = re.compile(r"""(?:^|\s)(?:-c|--c[a-z]*)(?:\s+|=)?["']?(file:|python:)?([^\s"';&|]+)""")
_SERVER_CONF: Final = re.compile(r"^(?!test).*(?:gunicorn|hypercorn)")


def among(
    files: Sequence[str],
    dockerfiles: Sequence[DockerfileFragment],
    scripts: Sequence[ScriptFragment],
    terraform: Sequence[AwsFragment],
) -> tuple[str, ...]:
    """Those of `files` that an application server may read its settings from: Python and TOML files called
    like one, and those that some command line names.
    """
    tasks = [task for fragment in terraform for task in fragment.task_definitions]
    containers = [container for task in tasks for container in task.containers]
    commands = [script.command for script in scripts]
    commands += [line for one in dockerfiles for line in (one.entrypoint, one.cmd)]
    commands += [line for one in containers for line in (one.entry_point, one.command)]
    texts = [" ".join(word.text or "" for word in line.words) for line in commands if line is not None]
    environments = [one.environment for one in dockerfiles] + [one.environment for one in containers]
    texts += [environment.get("GUNICORN_CMD_ARGS") or "" for environment in environments]
    named = set()
    for text in texts:
        for kind, path in _CONFIG_FLAG.findall(text):
            named.add(f"{path.rpartition('.')[2]}.py" if kind == "python:" else os.path.basename(path))
    found = []
    for file in files:
        name = os.path.basename(file)
        if name.endswith((".py", ".toml")) and (name in named or _SERVER_CONF.search(name.lower())):
            found.append(file)
    return tuple(found)
