"""Which proxy an image runs beside Apache and nginx, its version, and which configuration it holds."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from keepalign.join import images
from keepalign.model.path import JoinBy, JoinEvidence, Product
from keepalign.readers._fragments import DockerfileFragment, ProxyFragment
from keepalign.readers._reader import CommandLine
from keepalign.readers.tree import Tree

_PROGRAMS: Final[Mapping[str, Product]] = {
    "haproxy": Product.HAPROXY, "envoy": Product.ENVOY, "traefik": Product.TRAEFIK, "caddy": Product.CADDY,
}  # fmt: skip
PROGRAMS: Final = frozenset(_PROGRAMS)

# The official images, and those that the makers publish themselves.
_IMAGES: Final = (
    (Product.HAPROXY, re.compile(r"(?:.*/)?haproxy(?:-(?:alpine|debian|ubuntu))?")),
    (Product.ENVOY, re.compile(r"(?:.*/)?envoyproxy/envoy(?:-(?:distroless|alpine|debug))?|envoy")),
    (Product.TRAEFIK, re.compile(r"(?:.*/)?traefik")),
    (Product.CADDY, re.compile(r"(?:.*/)?caddy")),
)
_NAMES: Final = {
    Product.HAPROXY: "HAProxy", Product.ENVOY: "Envoy", Product.TRAEFIK: "Traefik", Product.CADDY: "Caddy",
}  # fmt: skip


def product(base: str, line: CommandLine | None) -> Product | None:
    """The proxy that an image runs: as its command names it, else as the image is called."""
    first = line.words[0].text if line is not None and line.words else None
    if (named := _PROGRAMS.get(os.path.basename(first or ""))) is not None:
        return named
    name = _without_tag(base)
    # An image called like a proxy may be started with flags alone, as docker-library's entrypoints allow.
    if first is not None and not first.startswith("-") and not first.endswith("entrypoint.sh"):
        return None
    return next((found for found, pattern in _IMAGES if pattern.fullmatch(name)), None)


def version(base: str) -> str:
    """The version that the tag of a proxy's image names; empty for tags without one, and other images."""
    name = _without_tag(base)
    if not any(pattern.fullmatch(name) for _, pattern in _IMAGES):
        return ""
    found = re.match(r"v?(\d+(?:\.\d+)*)", images.image_tag(base))
    return found[1] if found else ""


def configuration(
    tree: Tree, wanted: Product, dockerfile: DockerfileFragment | None
) -> tuple[ProxyFragment, JoinEvidence] | str:
    """The configuration of an image: copied by its Dockerfile, else the only one; or what is missing."""
    name = _NAMES[wanted]
    held = {one.file: one for one in tree.proxies if one.product is wanted}
    copied = images.copied(dockerfile, held) if dockerfile is not None else []
    if dockerfile is not None and len(copied) == 1:
        return held[copied[0]], JoinEvidence(JoinBy.REFERENCE, images.said_to_hold(dockerfile, copied))
    if len(held) == 1:
        ((file, only),) = held.items()
        return only, JoinEvidence(JoinBy.ONLY_CANDIDATE, f"{file} is the only configuration of {name}")
    if not held:
        return f"no configuration of {name} in the given folders; give the folder that holds it too"
    files = ", ".join(copied or held)
    return (
        f"several configurations of {name} ({files}) and no COPY that says which one the image holds;"
        " give the folder of one only"
    )


def _without_tag(image: str) -> str:
    return image.split("@", 1)[0].removesuffix(f":{images.image_tag(image)}").removeprefix("docker.io/")
