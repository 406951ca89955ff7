"""Names, tags and versions of images, and what a Dockerfile copies."""

from __future__ import annotations

import pytest

from keepalign.join.images import (
    copied,
    dockerfile_for,
    holds_apache,
    httpd_version,
    image_name,
    image_tag,
    stop_signal,
)
from keepalign.model.path import JoinBy
from keepalign.model.source import Span
from keepalign.readers._aws import Container
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import Absent


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("httpd", "httpd", ""),
        ("httpd:2.4", "httpd", "2.4"),
        ("*/orders-app:*", "orders-app", "*"),
        ("localhost:5000/shop", "shop", ""),
        ("registry.example:443/a/b:v1@sha256:0123", "b", "v1"),
        ("", "", ""),
    ],
)
def test_image_has_a_name_and_a_tag(image: str, name: str, tag: str) -> None:
    assert (image_name(image), image_tag(image)) == (name, tag)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("httpd:2.4", "2.4"),
        ("httpd:2.4.66-alpine3.22", "2.4.66"),
        ("docker.io/library/httpd:2", "2"),
        ("public.ecr.aws/docker/library/httpd:2.4.66@sha256:01", "2.4.66"),
        ("httpd:latest", ""),
        ("httpd", ""),
        ("registry.example/httpd:2.4", ""),
        ("registry.example/httpd:1.42", ""),
        ("debian:12", ""),
    ],
)
def test_version_of_httpd_comes_from_official_tags_only(image: str, version: str) -> None:
    assert httpd_version(image) == version


def test_images_with_apache_and_their_stop_signals() -> None:
    assert holds_apache("httpd:2.4")
    assert holds_apache("php:8.3-apache-bookworm")
    assert not holds_apache("php:8.3-fpm")
    assert [stop_signal(image) for image in ("httpd:2", "php:8-apache", "nginx", "python:3")] == [
        "SIGWINCH",
        "SIGWINCH",
        "SIGQUIT",
        "SIGTERM",
    ]


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("app/Dockerfile", "httpd.conf", ["app/httpd.conf"]),
        ("app/Dockerfile", ".", ["app/httpd.conf", "app/conf/a.conf"]),
        ("app/Dockerfile", "conf/", ["app/conf/a.conf"]),
        ("app/Dockerfile", "conf/*.conf", ["app/conf/a.conf"]),
        ("app/Dockerfile", "/httpd.conf", ["app/httpd.conf"]),
        ("app/Dockerfile", "web/httpd.conf", ["web/httpd.conf"]),
        ("Dockerfile", ".", ["app/httpd.conf", "app/conf/a.conf", "web/httpd.conf"]),
        ("app/Dockerfile", "missing", []),
        ("ap/Dockerfile", "app2", []),
        ("/srv/app/Dockerfile", "httpd.conf", []),
    ],
)
def test_copied_files_lie_in_the_folder_of_the_dockerfile_or_above(
    file: str, source: str, found: list[str]
) -> None:
    dockerfile = DockerfileFragment(file, copies=(((source,), "/etc/"),))
    files = ["app/httpd.conf", "app/conf/a.conf", "web/httpd.conf", "app22/x.conf"]
    assert copied(dockerfile, files[: 4 if file != "Dockerfile" else 3]) == found


@pytest.mark.parametrize(
    ("build", "found"),
    [
        ("app", "app/Dockerfile"),
        ("app/Dockerfile.dev", "app/Dockerfile.dev"),
        (".", "Dockerfile"),
        ("worker", "worker/Dockerfile"),
        ("elsewhere", None),
        (None, None),
    ],
)
def test_container_that_says_what_builds_it_needs_no_name(build: str | None, found: str | None) -> None:
    files = ["Dockerfile", "app/Dockerfile", "app/Dockerfile.dev", "worker/Dockerfile"]
    span = Span("stack.ts", 0, 0, 1, 1)
    container = Container("web", span, "*", span, None, None, Absent("stopTimeout"), build=build)
    dockerfile, evidence, missing = dockerfile_for(
        container, [DockerfileFragment(file) for file in files], {}, ".", only_unnamed=True
    )
    assert (dockerfile.file if dockerfile is not None else None) == found
    assert [one.by for one in evidence] == ([JoinBy.REFERENCE] if found is not None else [])
    assert bool(missing) is (found is None)


@pytest.mark.parametrize(
    ("image", "file", "fits"),
    [
        ("registry/shop-httpd:1", "httpd/Dockerfile", True),
        ("registry/shop-api-prod:1", "api/Dockerfile", True),
        ("registry/api-prod:1", "api/Dockerfile", True),
        ("*/api-*:1", "api/Dockerfile", True),
        ("ghcr.io/shop/shop-dashboard:3.23", "shop/Dockerfile", False),
        ("ghcr.io/shop/shop:3.23", "shop/Dockerfile", True),
    ],
)
def test_image_is_built_where_its_last_name_says(image: str, file: str, fits: bool) -> None:
    """A product's other images begin with its name too."""
    span = Span("compose.yml", 0, 0, 1, 1)
    container = Container("web", span, image, span, None, None, Absent("stopTimeout"))
    dockerfile, _, missing = dockerfile_for(
        container, [DockerfileFragment(file)], {}, ".", only_unnamed=False
    )
    assert (dockerfile is not None) is fits
    assert bool(missing) is not fits


def test_container_of_which_nothing_is_known_is_told_in_words() -> None:
    """A stack that makes names and images of variables."""
    span = Span("stack.py", 0, 0, 1, 1)
    container = Container("*", span, "*", span, None, None, Absent("stopTimeout"))
    _, _, missing = dockerfile_for(container, [], {}, ".", only_unnamed=True)
    assert missing.startswith("the image of container * cannot be read; give what its name is made of")
    assert "[containers]" not in missing
