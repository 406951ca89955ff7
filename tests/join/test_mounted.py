"""Configuration that ConfigMaps lay over an image: where it is read, and edited."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.manifests import (
    ALB,
    CONF,
    GUNICORN,
    IP,
    WITH_NGINX,
    app,
    deployment,
    findings,
    ingress,
    loaded,
    mended,
    seconds,
    service,
    the_path,
)
from tests.join.trees import chain, told

from keepalign.model.path import JoinBy, Product
from keepalign.model.timers import Role


def test_nginx_is_configured_by_a_config_map(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, CONF, ingress(annotations=IP), service(target="http"), deployment(containers=WITH_NGINX),
        service("api"), deployment("api"),
    )  # fmt: skip
    found = {path.route: path for path in stack.stack.paths}
    assert chain(found["/"]) == ["ingress/web", "nginx", "app"]
    nginx = found["/"].hops[1]
    assert seconds(nginx.settings[Role.SERVER_IDLE]) == 20
    assert (nginx.version, nginx.joined[-1].by) == ("1.27", JoinBy.REFERENCE)
    assert "ConfigMap conf is mounted at /etc/nginx/nginx.conf" in nginx.joined[-1].text
    assert chain(found["/api"])[2:] == ["api"]
    assert found["/api"].hops[2].product is Product.GUNICORN
    assert not [one for one in stack.stack.unjoined if "api" in one.what]


def test_config_map_is_edited_in_place(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, CONF, ingress(annotations=IP), service(target="http"), deployment(containers=WITH_NGINX),
        service("api"), deployment("api"),
    )  # fmt: skip
    assert "backend-keepalive-below-lb-idle" in findings(stack)
    changed = mended(stack)
    (data,) = changed.values()
    assert b"      keepalive_timeout 90s;\n      include" in data
    assert "backend-keepalive-below-lb-idle" not in findings(stack.reread(changed))


def test_new_line_of_a_config_map_is_indented_as_its_block(tmp_path: Path) -> None:
    idle = "idle_timeout.timeout_seconds=90"
    conf = CONF.replace("      keepalive_timeout 20s;\n", "      client_body_timeout 20s;\n")
    stack = loaded(
        tmp_path, conf, ingress(annotations=f"{IP}\n{ALB}load-balancer-attributes: {idle}"),
        service(target="http"), deployment(containers=WITH_NGINX), service("api"), deployment("api"),
    )  # fmt: skip
    assert "backend-keepalive-below-lb-idle" in findings(stack)
    again = stack.reread(mended(stack))
    assert "backend-keepalive-below-lb-idle" not in findings(again)
    assert not [note for note in again.notes if "YAML" in note.text]


def test_quoted_configuration_is_read_and_not_edited(tmp_path: Path) -> None:
    conf = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata:\n"
        '  nginx.conf: "events {}\\nhttp { keepalive_timeout 20s; server { listen 8080;'
        ' location / { proxy_pass http://127.0.0.1:8000; } } }\\n"\n---\n'
    )
    stack = loaded(
        tmp_path, conf, ingress(annotations=IP), service(target="http"), deployment(containers=WITH_NGINX)
    )
    idle = the_path(stack).hops[1].settings[Role.SERVER_IDLE]
    assert (seconds(idle), idle.site) == (20, None)


def test_mounted_folder_lies_over_that_of_the_image(tmp_path: Path) -> None:
    """The main file is the image's, and the piece in conf.d that it brought is hidden."""
    conf = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata:\n  site.conf: |\n"
        "    server { listen 8080; location / { proxy_pass http://127.0.0.1:8000; } }\n---\n"
    )
    containers = f"""name: nginx
          image: registry/shop-nginx:1
          ports: [{{name: http, containerPort: 8080}}]
          volumeMounts: [{{name: conf, mountPath: /etc/nginx/conf.d}}]
        - {app("app", GUNICORN)}
      volumes: [{{name: conf, configMap: {{name: conf}}}}]"""
    files = {
        "nginx/Dockerfile": "FROM nginx:1.27\nCOPY nginx.conf /etc/nginx/\nCOPY own.conf /etc/nginx/conf.d/",
        "nginx/nginx.conf": "events {}\nhttp { keepalive_timeout 33s; include conf.d/*.conf; }\n",
        "nginx/own.conf": "server { listen 8080; keepalive_timeout 3s; return 204; }\n",
    }  # fmt: skip
    stack = loaded(
        tmp_path, conf, ingress(annotations=IP), service(target="http"),
        deployment(containers=containers), files=files,
    )  # fmt: skip
    path = the_path(stack)
    assert chain(path) == ["ingress/web", "nginx", "app"]
    assert seconds(path.hops[1].settings[Role.SERVER_IDLE]) == 33


@pytest.mark.parametrize("more", ["type: ExternalName", ""])
def test_service_without_pods_is_told(tmp_path: Path, more: str) -> None:
    alone = service(more=more).replace("  selector: {app: web}\n", "" if more else "  selector: {app: web}\n")
    stack = loaded(tmp_path, ingress(annotations=IP), alone)
    missing = told(stack.stack.unjoined)["service web of ingress/web"]
    assert ("made elsewhere" if more else "Deployment") in missing


def test_missing_config_map_leaves_the_path_open(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, ingress(annotations=IP), service(target="http"), deployment(containers=WITH_NGINX)
    )
    assert "ConfigMap conf" in told(stack.stack.unjoined)["container nginx of deployment/web"]
    assert chain(the_path(stack)) == ["ingress/web"]


def test_apache_is_configured_by_a_config_map(tmp_path: Path) -> None:
    conf = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata:\n  httpd.conf: |\n"
        "    Listen 8080\n    KeepAliveTimeout 7\n    ProxyPass / http://127.0.0.1:8000/\n---\n"
    )
    containers = f"""name: httpd
          image: httpd:2.4
          ports: [{{name: http, containerPort: 8080}}]
          volumeMounts:
            - {{name: conf, mountPath: /usr/local/apache2/conf/httpd.conf, subPath: httpd.conf}}
        - {app("app", GUNICORN)}
      volumes: [{{name: conf, configMap: {{name: conf}}}}]"""
    stack = loaded(
        tmp_path, conf, ingress(annotations=IP), service(target="http"), deployment(containers=containers)
    )
    path = the_path(stack)
    assert chain(path) == ["ingress/web", "httpd", "app"]
    idle = path.hops[1].settings[Role.SERVER_IDLE]
    assert (seconds(idle), idle.site is not None) == (7, True)
