"""Which Apache configuration an image holds."""

from __future__ import annotations

import os
from typing import Final

from keepalign.join import images
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.readers._fragments import ApacheFragment, DockerfileFragment
from keepalign.readers.tree import Tree

_MAIN: Final = ("httpd.conf", "apache2.conf")


def configuration(
    tree: Tree, dockerfile: DockerfileFragment | None
) -> tuple[ApacheFragment, JoinEvidence] | str:
    """The httpd.conf of an image: copied by its Dockerfile, else the only one; or what is missing."""
    confs = {conf.file: conf for conf in tree.apache}
    found = images.copied(dockerfile, confs) if dockerfile is not None else []
    mains = [file for file in found if os.path.basename(file).lower() in _MAIN]
    if dockerfile is not None and (len(found) == 1 or len(mains) == 1):
        file = found[0] if len(found) == 1 else mains[0]
        return confs[file], JoinEvidence(JoinBy.REFERENCE, images.said_to_hold(dockerfile, [file]))
    if len(confs) == 1:
        (file,) = confs
        text = f"{file} is the only Apache configuration"
        return confs[file], JoinEvidence(JoinBy.ONLY_CANDIDATE, text)
    if not confs:
        return "no Apache configuration in the given folders; give the folder of its httpd.conf too"
    files = ", ".join(found or confs)
    return (
        f"several Apache configurations ({files}) and no COPY that says which one the image holds;"
        " give the folder of one only"
    )
