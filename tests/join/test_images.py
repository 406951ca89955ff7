"""Names, tags and versions of images, and what a Dockerfile copies."""

from __future__ import annotations

import pytest

from keepalign.join.images import copied, holds_apache, httpd_version, image_name, image_tag, stop_signal
from keepalign.readers._fragments import DockerfileFragment


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
