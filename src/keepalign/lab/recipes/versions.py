"""Which servers of this machine run a target."""

from __future__ import annotations

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.join.paths import Target
from keepalign.lab.recipes import apache_httpd, gunicorn, nginx
from keepalign.readers._fragments import (
    ApacheFragment,
    AppFragment,
    GunicornFragment,
    NginxFragment,
    ProxyFragment,
)


def versions(target: Target) -> tuple[str, ...]:
    """ "Apache httpd 2.4.71", "gunicorn 27.0.1": each once, in the order of the containers.

    Raises: LabError: one is missing, or cannot be run with the user's own flags.
    """
    names: dict[str, None] = {}
    for program in target.programs.values():
        match program.server:
            case ApacheFragment():
                names[f"Apache httpd {apache_httpd.find().version}"] = None
            case GunicornFragment():
                names[f"gunicorn {gunicorn.find().version}"] = None
            case NginxFragment():
                names[f"nginx {nginx.find().version}"] = None
            case AppFragment() | ProxyFragment() as server:
                label = load(server.product).label
                raise LabError(
                    f"the lab cannot run the {label} of container {program.container} with your own"
                    " configuration yet",
                    hint="`keepalign lab list` names the scenarios that run on it",
                )
            case None:
                pass
    return tuple(names)
