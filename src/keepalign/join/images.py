"""Which Dockerfile builds a container's image, and which files of the tree that image holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Final

from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.readers._aws import Container
from keepalign.readers._fragments import DockerfileFragment

# STOPSIGNAL of the official images, which a Dockerfile that builds on them inherits (docker-library's
# haproxy, httpd, nginx and php Dockerfiles, nginx's docker-nginx-unprivileged, OpenResty's docker-openresty).
_STOP_SIGNALS: Final = {
    "httpd": "SIGWINCH", "nginx": "SIGQUIT", "nginx-unprivileged": "SIGQUIT", "openresty": "SIGQUIT",
    "haproxy": "SIGUSR1",
}  # fmt: skip
# Where the official images are published: Docker Hub, and its mirror at AWS.
_OFFICIAL: Final = re.compile(r"(?:(?:docker\.io/)?(?:library/)?|public\.ecr\.aws/docker/library/)([a-z]+)")


def image_name(image: str) -> str:
    """The last path component without tag and digest: "orders-httpd" of "*/orders-httpd:latest"."""
    return image.rsplit("/", 1)[-1].split("@", 1)[0].split(":", 1)[0]


def image_tag(image: str) -> str:
    """The tag, empty when there is none: "2.4" of "httpd:2.4"."""
    last = image.rsplit("/", 1)[-1].split("@", 1)[0]
    return last.split(":", 1)[1] if ":" in last else ""


def httpd_version(image: str) -> str:
    """The version of Apache in an official image, from its tag; empty for other images and other tags.

    The tag of anybody else's image, though it be called httpd, counts their own releases.
    """
    official = _OFFICIAL.fullmatch(image.split("@", 1)[0].removesuffix(f":{image_tag(image)}"))
    version = re.match(r"2(\.\d+)*", image_tag(image))
    return version[0] if official and official[1] == "httpd" and version else ""


def node_version(image: str) -> str:
    """The version of Node.js in an official image, from its tag; empty for other images and other tags."""
    official = _OFFICIAL.fullmatch(image.split("@", 1)[0].removesuffix(f":{image_tag(image)}"))
    version = re.match(r"\d+(\.\d+)*", image_tag(image))
    return version[0] if official and official[1] == "node" and version else ""


# Images of nginx by those who make nginx or OpenResty; all ship nginx.conf as nginx's source has it. A mirror
# keeps the whole name behind its own, such as ECR's pull-through cache.
_NGINX: Final = re.compile(
    r"(?:docker\.io/)?nginx|(?:.+/)?(?:library/nginx|nginxinc/nginx-unprivileged|openresty/openresty)"
    r"|(?:public\.ecr\.aws|quay\.io)/nginx/nginx(?:-unprivileged)?"
)


def nginx_release(image: str) -> str | None:
    """The version of nginx in an image of its makers, from the tag: empty for tags without numbers; None for
    anybody else's image."""
    if not _NGINX.fullmatch(image.split("@", 1)[0].removesuffix(f":{image_tag(image)}")):
        return None
    version = re.match(r"\d+\.\d+(\.\d+)?", image_tag(image))
    return version[0] if version else ""


def stop_signal(base: str) -> str:
    """STOPSIGNAL of a base image; Docker's default where it is not one that keepalign knows."""
    if image_name(base) == "php" and "fpm" in image_tag(base).split("-"):
        return "SIGQUIT"
    # docker-library's PHP with Apache has the signal of httpd.
    return _STOP_SIGNALS.get("httpd" if holds_apache(base) else image_name(base), "SIGTERM")


def holds_apache(base: str) -> bool:
    """Whether an image runs Apache when nothing else is said: httpd, and PHP with Apache."""
    name = image_name(base)
    return name == "httpd" or (name == "php" and "apache" in image_tag(base).split("-"))


def holds_nginx(base: str) -> bool:
    """Whether an image runs nginx when nothing else is said."""
    return image_name(base) in ("nginx", "nginx-unprivileged", "openresty")


def copied(dockerfile: DockerfileFragment, files: Iterable[str]) -> list[str]:
    """Those of `files` that the Dockerfile copies into its image.

    Sources are relative to the build's context: the Dockerfile's own folder, or one above it.
    """
    files = list(files)
    held = {file for file, _ in placed(dockerfile, files)}
    return [file for file in files if file in held]


def placed(dockerfile: DockerfileFragment, files: Iterable[str]) -> list[tuple[str, str]]:
    """Those of `files` that the Dockerfile copies into its image, each with where it ends up there; over
    them those that are mounted into its container."""
    files = list(files)
    found = _placed_by_copies(dockerfile, files)
    for source, target in dockerfile.mounts:
        place = target.rstrip("/")
        found = [(file, at) for file, at in found if at != place and not at.startswith(f"{place}/")]
        for file in files:
            path = os.path.normpath(file)
            if path == source:
                found.append((file, place))
            elif _covers(source, path):
                found.append((file, os.path.join(place, os.path.relpath(path, source))))
    return found


def said_to_hold(dockerfile: DockerfileFragment, files: Sequence[str]) -> str:
    """How an image got these files, in words: "web/Dockerfile copies web/nginx.conf"."""
    mounted = [file for file in files if any(_covers(source, file) for source, _ in dockerfile.mounts)]
    verb = "mounts" if mounted else "copies"
    who = dockerfile.mounted_by if mounted else dockerfile.file
    return f"{who} {verb} {', '.join(files)}"


def _placed_by_copies(dockerfile: DockerfileFragment, files: list[str]) -> list[tuple[str, str]]:
    base = os.path.dirname(dockerfile.file)
    while True:
        found: list[tuple[str, str]] = []
        for sources, target in dockerfile.copies:
            for source in sources:
                path = os.path.normpath(os.path.join(base, source.lstrip("/")))
                for file in files:
                    if _covers(path, os.path.normpath(file)):
                        place = _place(path, os.path.normpath(file), target, several=len(sources) > 1)
                        found.append((file, place))
        above = os.path.dirname(base)
        if found or above == base:
            return found
        base = above


def _place(path: str, file: str, target: str, *, several: bool) -> str:
    """Where COPY puts `file` of the source `path`."""
    if file.startswith(f"{path}{os.sep}") or path == ".":
        return os.path.join(target, os.path.relpath(file, path))  # a folder: what is in it
    # A folder of the image may be named without the slash; those that hold configuration end in these words.
    folder = (
        target.endswith("/") or several or file != path or target.endswith((".d", "templates", "enabled"))
    )
    return os.path.join(target, os.path.basename(file)) if folder else target


def _covers(path: str, file: str) -> bool:
    """Whether a copied file, folder or pattern takes `file` along."""
    if path == ".":
        return not file.startswith(("/", ".."))
    return file == path or file.startswith(f"{path}{os.sep}") or fnmatch(file, path)


def dockerfile_for(
    container: Container,
    dockerfiles: Sequence[DockerfileFragment],
    hints: Mapping[str, str],
    near: str,
    *,
    only_unnamed: bool,
) -> tuple[DockerfileFragment | None, tuple[JoinEvidence, ...], str]:
    """The Dockerfile that builds the container's image: hinted, else what it says itself, else by name, else
    the only one there is.

    Args:
        near: the folder of the Terraform module; of Dockerfiles with equal names, the nearest to it counts.
        only_unnamed: no other container of its task has an image whose name cannot be resolved.
    Returns: the Dockerfile, how it was found, and why there is none: what would supply it.
    """
    hinted = hints.get(container.name)
    if hinted is not None:
        for one in dockerfiles:
            if hinted in (os.path.normpath(one.file), os.path.normpath(os.path.dirname(one.file) or ".")):
                text = f"keepalign.toml says that {container.name} is built from {hinted}"
                return one, (JoinEvidence(JoinBy.HINT, text),), ""
        return None, (), (
            f"keepalign.toml says that {container.name} is built from {hinted}, and no Dockerfile is read"
            " there; correct the path, or give that folder too"
        )  # fmt: skip
    if container.build is not None:
        built = [
            one for one in dockerfiles if container.build in (one.file, os.path.dirname(one.file) or ".")
        ]
        # A folder may hold further ones, for development; what is called Dockerfile is built.
        built = [one for one in built if os.path.basename(one.file) == "Dockerfile"] or built
        if len(built) == 1:
            text = f"{container.name} is built from {built[0].file}"
            return built[0], (JoinEvidence(JoinBy.REFERENCE, text, container.image_span),), ""
    image = container.image or ""
    name = image_name(image)
    best = _by_name(name, dockerfiles, near)
    if len(best) == 1:
        text = f"image {name} and {best[0].file} share a name"
        return best[0], (JoinEvidence(JoinBy.NAME, text, container.image_span),), ""
    supply = f'name it in keepalign.toml: [containers] {container.name} = "path"'
    if set(container.name) == {"*"}:
        supply = "give what its name is made of, as *.tfvars or as what is deployed (a plan, cdk.out)"
    if best:
        files = ", ".join(one.file for one in best)
        return None, (), f"image {name} of container {container.name} may be built from {files}; {supply}"
    if "*" in name and len(dockerfiles) == 1 and only_unnamed:
        text = f"{dockerfiles[0].file} is the only Dockerfile"
        return dockerfiles[0], (JoinEvidence(JoinBy.ONLY_CANDIDATE, text, container.image_span),), ""
    if set(name) == {"*"}:
        return None, (), f"the image of container {container.name} cannot be read; {supply}"
    return None, (), (
        f"no Dockerfile in the given folders builds image {image or container.build or '(none)'} of container"
        f" {container.name}; give its folder too, or {supply}"
    )  # fmt: skip


_STAGES: Final = frozenset({
    "*", "app", "application", "container", "dev", "ecr", "image", "latest", "live", "prod", "production",
    "repo", "repository", "server", "service", "stage", "staging", "svc", "test",
})  # fmt: skip
"""What names of images end in without telling them apart."""


def _by_name(name: str, dockerfiles: Sequence[DockerfileFragment], near: str) -> list[DockerfileFragment]:
    """The Dockerfiles whose folder or suffix fits the image's name best; several where they fit equally well.

    "orders-httpd" is built in a folder "orders-httpd", "orders_httpd" or "httpd", in this order; of several
    "httpd", the one below a folder "orders" comes first, then the one nearest to `near`.
    """
    pieces = {piece for piece in re.split(r"[-_.]", name) if piece}
    scored: list[tuple[tuple[int, int, int], DockerfileFragment]] = []
    for one in dockerfiles:
        folder = os.path.abspath(os.path.dirname(one.file))
        *above, last = folder.split(os.sep)
        labels = [label for label in (last, os.path.basename(one.file).partition(".")[2]) if label]
        fits = max((_fit(label, name) for label in labels), default=0)
        if fits:
            shared = len(os.path.commonpath([folder, os.path.abspath(near)]))
            scored.append(((fits, len(pieces.intersection(above)), shared), one))
    best = max((score for score, _ in scored), default=None)
    return [one for score, one in scored if score == best]


def _fit(label: str, name: str) -> int:
    if label == name:
        return 3
    if label.replace("_", "-") == name.replace("_", "-"):
        return 2
    first, *others = [piece for piece in re.split(r"[-_.]", name) if piece] or [""]
    # What follows says which image of a product it is: no folder "shop" builds "shop-dashboard".
    return int(label in others or (label == first and _STAGES.issuperset(others)))
