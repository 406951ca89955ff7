"""nginx on a path: the configuration of an image, where its locations lead, what it keeps and sends again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, chain, told, whole_service, written

from keepalign import rules
from keepalign.join import Loaded, load_stack
from keepalign.model.path import Hop, JoinBy, Product, RequestPath
from keepalign.model.setting import Default, Disabled, Explicit, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

WEB = '{ name = "web", image = "registry/shop-nginx:1", portMappings = [{ containerPort = 8080 }] }'
APP = '{ name = "app", image = "registry/app:1", command = ["gunicorn", "--bind", ":8000", "app:app"] }'
JOBS = '{ name = "jobs", image = "registry/app:1", command = ["gunicorn", "--bind", ":8001", "app:app"] }'
CONF = """\
worker_processes auto;
events { }
http {
    keepalive_timeout 5s;
    proxy_read_timeout 20s;
    server {
        listen 8080;
        location / { proxy_pass http://127.0.0.1:8000; }
        location /jobs { proxy_pass http://localhost:8001; proxy_read_timeout 300s; }
    }
}
"""


def loaded(folder: Path, files: Mapping[str, str], *, containers: str = f"{WEB}, {APP}, {JOBS}") -> Loaded:
    """A service behind a balancer, with `files` beside it."""
    return load_stack(
        [written(folder, {"main.tf": alb() + whole_service("shop", containers=containers), **files})]
    )


def image(conf: str = CONF, *, base: str = "nginx:1.28") -> dict[str, str]:
    return {
        "nginx/Dockerfile": f"FROM {base}\nCOPY nginx.conf /etc/nginx/nginx.conf\n",
        "nginx/nginx.conf": conf,
    }


def by_route(stack: Loaded) -> dict[str, RequestPath]:
    return {path.route: path for path in stack.stack.paths}


def the_nginx(stack: Loaded, route: str = "/") -> Hop:
    hop = by_route(stack)[route].hops[1]
    assert hop.product is Product.NGINX
    return hop


def test_paths_lead_through_nginx_to_the_applications(tmp_path: Path) -> None:
    stack = loaded(tmp_path, image())
    paths = by_route(stack)
    assert [path.name for path in paths.values()] == ["shop /", "shop /jobs"]
    assert chain(paths["/"]) == ["aws_lb.this", "web", "app"]
    assert chain(paths["/jobs"]) == ["aws_lb.this", "web", "jobs"]
    assert not stack.stack.unjoined
    nginx = the_nginx(stack)
    assert (nginx.version, nginx.place.line if nginx.place else 0) == ("1.28", 6)
    assert {role: value_of(setting) for role, setting in nginx.settings.items()} == {
        Role.SERVER_IDLE: Duration.of(s=5),
        Role.SERVER_BODY_READ: Duration.of(s=60),
        Role.SHUTDOWN_GRACE: None,
        Role.UPSTREAM_READ: Duration.of(s=20),
        Role.UPSTREAM_CONNECT: Duration.of(s=60),
        Role.UPSTREAM_RETRY: None,
    }
    assert isinstance(nginx.settings[Role.SHUTDOWN_GRACE], Unlimited)
    assert value_of(the_nginx(stack, "/jobs").settings[Role.UPSTREAM_READ]) == Duration.of(s=300)
    assert nginx.traits == {
        "pool": "off", "retries": "idempotent", "attempts": "1", "streams": "held", "probe": "passed",
    }  # fmt: skip
    assert [(one.by, one.text) for one in paths["/"].hops[2].joined] == [
        (JoinBy.PORT, "http://127.0.0.1:8000 and --bind share port 8000")
    ]
    assert f"{tmp_path}/nginx/Dockerfile copies {tmp_path}/nginx/nginx.conf" in [e.text for e in nginx.joined]
    (target,) = stack.targets
    assert (target.front, target.port, target.paths) == ("web", 8080, ("shop /", "shop /jobs"))


def test_a_short_keep_alive_behind_the_balancer_is_found(tmp_path: Path) -> None:
    stack = loaded(tmp_path, image())
    (finding,) = (
        f for f in rules.check(stack.stack).findings if f.cause == "backend-keepalive-below-lb-idle"
    )
    assert (finding.hop, finding.locations[0].span) == (
        "web",
        the_nginx(stack).settings[Role.SERVER_IDLE].origin.use,
    )
    # Written once, so it is one fault of both paths.
    assert the_nginx(stack).settings[Role.SERVER_IDLE] == the_nginx(stack, "/jobs").settings[Role.SERVER_IDLE]


# The image


@pytest.mark.parametrize(
    ("base", "more", "version", "signal"),
    [
        ("nginx:1.27-alpine", "", "1.27", "SIGQUIT"),
        ("nginx:1.29.7", "", "1.29.7", "SIGQUIT"),
        ("public.ecr.aws/nginx/nginx:1.29.1-alpine-slim", "", "1.29.1", "SIGQUIT"),
        ("nginxinc/nginx-unprivileged:1.30.0", "", "1.30.0", "SIGQUIT"),
        ("openresty/openresty:1.27.1.2-0-alpine", "", "1.27.1", "SIGQUIT"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/library/nginx:1.28.0", "", "1.28.0", "SIGQUIT"),
        ("nginx", "", "", "SIGQUIT"),
        ("nginx:stable", "STOPSIGNAL SIGTERM\n", "", "SIGTERM"),
        ("registry.example.com/nginx:2.0", "", "", "SIGQUIT"),
        ("debian:12", 'RUN apt-get install -y nginx\nCMD ["nginx", "-g", "daemon off;"]\n', "", "SIGTERM"),
        ("alpine:3", 'ENTRYPOINT ["/usr/sbin/nginx"]\n', "", "SIGTERM"),
    ],
)
def test_image_tells_version_and_stop_signal(
    tmp_path: Path, base: str, more: str, version: str, signal: str
) -> None:
    files = image(base=base)
    files["nginx/Dockerfile"] += more
    stack = loaded(tmp_path, files)
    assert the_nginx(stack).version == version
    assert stack.targets[0].programs["web"].stop_signal == signal


def test_a_piece_in_the_image_of_nginx_has_the_keep_alive_of_the_shipped_main_file(tmp_path: Path) -> None:
    piece = "server { listen 8080; location / { proxy_pass http://127.0.0.1:8000; } }"
    files = {
        "nginx/Dockerfile": "FROM nginx:1.28\nCOPY default.conf /etc/nginx/conf.d/default.conf\n",
        "nginx/default.conf": piece + "\n# server {\n",
    }
    files["nginx/default.conf"] = piece.replace("{ listen 8080;", "{\n    listen 8080;\n")
    nginx = the_nginx(loaded(tmp_path, files))
    setting = nginx.settings[Role.SERVER_IDLE]
    assert isinstance(setting, Default)
    assert (setting.value, setting.origin.note) == (Duration.of(s=65), "nginx.conf of nginx:1.28")
    assert setting.site is not None
    assert isinstance(nginx.settings[Role.SHUTDOWN_GRACE], Unlimited)


def test_a_piece_in_another_image_has_a_keep_alive_that_is_not_known(tmp_path: Path) -> None:
    files = {
        "nginx/Dockerfile": 'FROM debian:12\nCOPY site.conf /etc/nginx/conf.d/\nCMD ["nginx"]\n',
        "nginx/site.conf": "server {\n    listen 8080;\n}\n",
    }
    setting = the_nginx(loaded(tmp_path, files, containers=WEB)).settings[Role.SERVER_IDLE]
    assert isinstance(setting, Unknown)
    assert "75 s where it sets nothing, 65 s in the one that nginx's packages ship" in setting.reason


def test_pieces_that_one_image_holds_are_one_configuration(tmp_path: Path) -> None:
    files = {
        "nginx/Dockerfile": "FROM nginx:1.28\nCOPY conf/ /etc/nginx/conf.d/\n",
        "nginx/conf/app.conf": "server {\n    listen 8080;\n    location / { proxy_pass http://pool; }\n}\n",
        "nginx/conf/timeouts.conf": "keepalive_timeout 90s;\n",
        "nginx/conf/upstream.conf": "upstream pool {\n    server 127.0.0.1:8000;\n    keepalive 8;\n}\n",
    }
    stack = loaded(tmp_path, files)
    assert chain(by_route(stack)["/"]) == ["aws_lb.this", "web", "app"]
    assert value_of(the_nginx(stack).settings[Role.SERVER_IDLE]) == Duration.of(s=90)
    assert "jobs" not in by_route(stack)
    assert not told(stack.stack.unjoined)


def test_a_main_file_includes_what_the_image_holds_there(tmp_path: Path) -> None:
    files = {
        "Dockerfile": (
            "FROM nginx:1.28\nCOPY docker/main.conf /etc/nginx/nginx.conf\n"
            "COPY docker/sites/shop.conf.template /etc/nginx/templates/\n"
        ),
        "docker/main.conf": (
            "events { }\nhttp {\n    keepalive_timeout 80;\n    include /etc/nginx/conf.d/*.conf;\n}\n"
        ),
        "docker/sites/shop.conf.template": (
            "server {\n    listen 8080;\n    location / { proxy_pass http://127.0.0.1:8000; }\n}\n"
        ),
    }
    containers = f"{WEB.replace('registry/shop-nginx:1', '${var.image}')}, {APP}"
    root = written(
        tmp_path,
        {"main.tf": 'variable "image" {}\n' + alb() + whole_service("shop", containers=containers), **files},
    )
    stack = load_stack([root])
    assert chain(by_route(stack)["/"]) == ["aws_lb.this", "web", "app"]
    assert value_of(the_nginx(stack).settings[Role.SERVER_IDLE]) == Duration.of(s=80)


def test_a_template_is_rendered_with_the_environment_of_the_container(tmp_path: Path) -> None:
    files = {
        "nginx/Dockerfile": (
            "FROM nginx:1.28\nENV PORT=8080 BACKEND=http://nowhere:1\n"
            "COPY default.conf.template /etc/nginx/templates/default.conf.template\n"
        ),
        "nginx/default.conf.template": (
            "server {\n    listen ${PORT};\n    location / { proxy_pass ${BACKEND}; }\n}\n"
        ),
    }
    env = 'environment = [{ name = "BACKEND", value = "http://127.0.0.1:8000" }], portMappings'
    containers = f"{WEB.replace('portMappings', env)}, {APP}"
    stack = loaded(tmp_path, files, containers=containers)
    assert chain(by_route(stack)["/"]) == ["aws_lb.this", "web", "app"]
    assert stack.targets[0].programs["web"].ports == (8080,)


def test_of_several_configurations_without_a_copy_none_is_guessed(tmp_path: Path) -> None:
    files = {"nginx/Dockerfile": "FROM nginx:1.28\n", "a/nginx.conf": CONF, "b/nginx.conf": CONF}
    stack = loaded(tmp_path, files)
    assert chain(stack.stack.paths[0]) == ["aws_lb.this"]
    missing = told(stack.stack.unjoined)["container web of service shop"]
    assert missing.startswith("several nginx configurations (")
    assert missing.endswith("give the folder of one only")


def test_the_only_configuration_of_a_tree_is_the_image_s(tmp_path: Path) -> None:
    files = {"nginx/Dockerfile": "FROM nginx:1.28\n", "conf/nginx.conf": CONF}
    evidence = the_nginx(loaded(tmp_path, files)).joined
    assert [(one.by, one.text) for one in evidence][-1] == (
        JoinBy.ONLY_CANDIDATE, f"{tmp_path}/conf/nginx.conf is the only nginx configuration",
    )  # fmt: skip


def test_a_lone_configuration_stands_behind_the_declared_balancer(tmp_path: Path) -> None:
    root = written(tmp_path, {"nginx.conf": CONF, "conf.d/timeouts.conf": "send_timeout 9s;\n"})
    stack = load_stack([root], in_front=("aws-alb:idle_timeout=60s",))
    assert [chain(path) for path in stack.stack.paths] == [["aws-alb", "nginx"], ["aws-alb", "nginx"]]
    assert f"nginx configuration {root}/conf.d/timeouts.conf" in told(stack.stack.unjoined)
    assert f"nginx in {root}/nginx.conf" in told(load_stack([root]).stack.unjoined)


# Ways through it


def serving(lines: str, *, before: str = "") -> dict[str, str]:
    return image(f"events {{ }}\nhttp {{\n{before}\nserver {{\nlisten 8080;\n{lines}\n}}\n}}\n")


def test_a_server_without_a_proxied_location_is_one_way(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, serving("location / { root /srv; keepalive_timeout 0; } location /a { return 204; }")
    )
    (path,) = stack.stack.paths
    assert chain(path) == ["aws_lb.this", "web"]
    assert (path.name, isinstance(path.hops[1].settings[Role.SERVER_IDLE], Disabled)) == ("shop /", True)


def test_endpoints_take_the_location_with_the_longest_prefix(tmp_path: Path) -> None:
    files = serving(
        "location /api/v1 { proxy_pass http://127.0.0.1:8001; }\n"
        "location = /health { proxy_pass http://127.0.0.1:8001; }\n"
        "location /files { root /srv; }\n"
        "location /api { proxy_pass http://127.0.0.1:8000; }\n"
        "location ~ ^/(old|older)/ { proxy_pass http://127.0.0.1:8000; }"
    )
    files["keepalign.toml"] = "".join(
        f'[[endpoint]]\npath = "{path}"\nlongest_silence = "1s"\n'
        for path in ("/", "/api/v1/a", "/api/b", "/health", "/files/c", "/older/d")
    )
    stack = loaded(tmp_path, files)
    found = {path.name: (chain(path)[2:], [e.path for e in path.endpoints]) for path in stack.stack.paths}
    assert found == {
        "shop /api/v1": (["jobs"], ["/", "/api/v1/a"]),
        "shop /api": (["app"], ["/", "/api/b"]),
        "shop /files": ([], ["/", "/files/c"]),
        "shop = /health": (["jobs"], ["/health"]),
        "shop ~ ^/(old|older)/ /old/": (["app"], ["/"]),
        "shop ~ ^/(old|older)/ /older/": (["app"], ["/", "/older/d"]),
    }


def test_of_several_servers_the_first_that_is_known_is_followed(tmp_path: Path) -> None:
    pool = "upstream pool { server 10.0.0.9:8000; server 127.0.0.1:8000; }"
    stack = loaded(tmp_path, serving("location / { proxy_pass http://pool; }", before=pool))
    assert chain(by_route(stack)["/"]) == ["aws_lb.this", "web", "app"]
    assert [note.text for note in stack.notes] == [
        "of the servers behind http://pool, keepalign follows only app"
    ]


@pytest.mark.parametrize(
    ("lines", "what", "missing"),
    [
        ("proxy_pass http://127.0.0.1:9;", "http://127.0.0.1:9", "no container of this task listens there"),
        (
            "proxy_pass http://$host;",
            "http://$host",
            "gets its value when a request comes; write the address out",
        ),
        ("proxy_pass http://unix:/a.sock;", "http://unix:/a.sock", "a Unix socket"),
        ("fastcgi_pass elsewhere:9000;", "elsewhere:9000", "no container of this task has this name"),
    ],
)
def test_a_backend_that_is_not_found_is_told(tmp_path: Path, lines: str, what: str, missing: str) -> None:
    stack = loaded(tmp_path, serving(f"location / {{ {lines} }}"))
    assert chain(by_route(stack)["/"]) == ["aws_lb.this", "web"]
    assert missing in told(stack.stack.unjoined)[f"backend {what} of web"]


def test_requests_without_a_name_go_to_the_default_server(tmp_path: Path) -> None:
    conf = (
        "events { }\nhttp {\nserver { listen 8080; server_name a.example; }\n"
        "server { listen 8080 default_server; server_name _; }\nserver { listen 9090; }\n}\n"
    )
    stack = loaded(tmp_path, image(conf))
    names = [path.name for path in stack.stack.paths]
    assert names == [f"shop {tmp_path}/nginx/nginx.conf /", "shop a.example /"]
    assert stack.targets[0].paths == (names[0],)


def test_a_port_that_no_server_block_listens_on_is_told(tmp_path: Path) -> None:
    stack = loaded(tmp_path, image(CONF.replace("8080", "8081")))
    assert told(stack.stack.unjoined)["container web"] == (
        f"no server block of {tmp_path}/nginx/nginx.conf listens on port 8080;"
        " correct the container's port, or the listen lines"
    )


# What it keeps, and what it sends again

EMPTIED = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@pytest.mark.parametrize(
    ("version", "upstream", "location", "pool"),
    [
        ("1.28", "keepalive 8;", EMPTIED, "on"),
        ("1.28", "keepalive 8;", "proxy_http_version 1.1;", "off"),
        ("1.28", "keepalive 8;", 'proxy_set_header Connection "";', "off"),
        ("1.28", "keepalive 8;", "proxy_set_header Connection keep-alive;", "on"),
        ("1.28", "keepalive 8;", EMPTIED.replace('""', "close"), "off"),
        ("1.28", "", EMPTIED, "off"),
        ("1.29.6", "", "", "off"),
        ("1.29.7", "", "", "on"),
        ("1.30", "", "", "on"),
        ("1.30", "keepalive 0;", "", "off"),
        ("1.30", "", "proxy_http_version 1.0;", "off"),
        ("1.30", "", "proxy_set_header Connection close;", "off"),
        ("1.29", "", "", None),
        ("stable", "", "", None),
        ("stable", "keepalive 8;", EMPTIED, "on"),
        ("stable", "keepalive 0;", "", "off"),
        ("1.30", "", "proxy_set_header Connection $a;", None),
    ],
)
def test_pooling_needs_what_its_version_asks_for(
    tmp_path: Path, version: str, upstream: str, location: str, pool: str | None
) -> None:
    files = serving(
        f"location / {{ proxy_pass http://pool; {location} }}",
        before=f"upstream pool {{ server 127.0.0.1:8000; {upstream} }}",
    )
    files["nginx/Dockerfile"] = files["nginx/Dockerfile"].replace("1.28", version)
    nginx = the_nginx(loaded(tmp_path, files))
    idle = nginx.settings.get(Role.UPSTREAM_POOL_IDLE)
    assert nginx.traits.get("pool") == pool
    match pool:
        case "on":
            assert value_of(idle) == Duration.of(s=60)
        case "off":
            assert idle is None
        case _:
            assert isinstance(idle, Unknown)


def test_pooling_that_the_version_decides_names_both_cases(tmp_path: Path) -> None:
    files = serving(
        "location / { proxy_pass http://pool; }",
        before="upstream pool { server 127.0.0.1:8000; keepalive_timeout 20s; }",
    )
    files["nginx/Dockerfile"] = files["nginx/Dockerfile"].replace("1.28", "latest")
    idle = the_nginx(loaded(tmp_path, files)).settings[Role.UPSTREAM_POOL_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason == (
        "it depends on nginx's version, which is not known: before 1.29.7 no connections are pooled here,"
        " from 1.29.7 on they are kept for 20 s"
    )


def test_a_bare_address_is_not_pooled_in_any_version(tmp_path: Path) -> None:
    for number, version in enumerate(("1.28", "1.30", "latest")):
        files = serving(f"location / {{ proxy_pass http://127.0.0.1:8000; {EMPTIED} }}")
        files["nginx/Dockerfile"] = files["nginx/Dockerfile"].replace("1.28", version)
        nginx = the_nginx(loaded(tmp_path / str(number), files))
        assert nginx.traits["pool"] == "off"
        assert Role.UPSTREAM_POOL_IDLE not in nginx.settings


@pytest.mark.parametrize(
    ("version", "lines", "streams"),
    [
        ("1.28", "", "held"),
        ("1.28", "proxy_http_version 1.0; proxy_buffering on;", "held"),
        ("1.28", "proxy_http_version 1.1;", None),
        ("1.28", "proxy_buffering off;", None),
        ("1.31", "", None),
        ("1.31", "proxy_http_version 1.0;", "held"),
        ("1.29", "", "version"),
        ("latest", "", "version"),
        ("latest", "proxy_buffering off;", None),
    ],
)
def test_streams_are_held_where_nginx_buffers_and_hears_no_chunks(
    tmp_path: Path, version: str, lines: str, streams: str | None
) -> None:
    files = serving(f"location / {{ proxy_pass http://127.0.0.1:8000; {lines} }}")
    files["nginx/Dockerfile"] = files["nginx/Dockerfile"].replace("1.28", version)
    assert the_nginx(loaded(tmp_path, files)).traits.get("streams") == streams


@pytest.mark.parametrize(
    ("words", "retries"),
    [
        ("", "idempotent"),
        ("error timeout", "idempotent"),
        ("error timeout http_502 non_idempotent", "all"),
        ("off", "off"),
        ("http_502 timeout", "off"),
    ],
)
def test_what_is_sent_again_is_what_proxy_next_upstream_says(
    tmp_path: Path, words: str, retries: str
) -> None:
    line = f"proxy_next_upstream {words};" if words else ""
    stack = loaded(tmp_path, serving(f"{line} location / {{ proxy_pass http://127.0.0.1:8000; }}"))
    assert the_nginx(stack).traits["retries"] == retries


@pytest.mark.parametrize(
    ("lines", "attempts", "retry"),
    [
        ("", "3", "unlimited"),
        ("proxy_next_upstream_tries 2;", "2", "unlimited"),
        ("proxy_next_upstream_tries 0;", "3", "unlimited"),
        ("proxy_next_upstream_tries 9;", "3", "unlimited"),
        ("proxy_next_upstream_timeout 0;", "3", "unlimited"),
        ("proxy_next_upstream error timeout http_502 http_503; proxy_next_upstream_timeout 5s;", "3", "5 s"),
        ("proxy_next_upstream error http_502;", "3", "off"),
        ("proxy_next_upstream off;", "1", "off"),
    ],
)
def test_attempts_are_as_many_as_there_are_servers_to_try(
    tmp_path: Path, lines: str, attempts: str, retry: str
) -> None:
    block = "upstream orders { server 127.0.0.1:8000; server 10.0.0.2:8000; server 10.0.0.3:8000 backup; }"
    files = serving(f"{lines} location / {{ proxy_pass http://orders; }}", before=block)
    nginx = the_nginx(loaded(tmp_path, files))
    again = nginx.settings[Role.UPSTREAM_RETRY]
    kind = "off" if isinstance(again, Disabled) else "unlimited" if isinstance(again, Unlimited) else ""
    assert (nginx.traits["attempts"], kind or str(value_of(again))) == (attempts, retry)


@pytest.mark.parametrize(
    ("lines", "path", "probe"),
    [
        ("location = /healthz { return 200; }", "/healthz", "answered"),
        ("location = /healthz { return 200; }", "/healthz?deep=1", "answered"),
        ("location = /healthz { return 200; }", "/healthz/deep", "passed"),
        ("location /status { stub_status; }", "/status/live", "answered"),
        ("location /status { stub_status; }", "/", "passed"),
        ("location ~ ^/health { return 200; }", "/healthz", None),
    ],
)
def test_health_check_ends_at_nginx_where_it_answers_it_by_itself(
    tmp_path: Path, lines: str, path: str, probe: str | None
) -> None:
    service = whole_service("shop", containers=f"{WEB}, {APP}")
    group = 'resource "aws_lb_target_group" "shop" {'
    assert group in service
    service = service.replace(group, f'{group}\n  health_check {{\n path = "{path}"\n }}')
    files = serving(f"{lines} location / {{ proxy_pass http://127.0.0.1:8000; }}")
    stack = load_stack([written(tmp_path, {"main.tf": alb() + service, **files})])
    assert the_nginx(stack).traits.get("probe") == probe


def test_times_of_other_protocols_are_those_of_their_own_options(tmp_path: Path) -> None:
    lines = "location / { uwsgi_pass 127.0.0.1:8000; uwsgi_read_timeout 9s; proxy_read_timeout 8s; }"
    nginx = the_nginx(loaded(tmp_path, serving(lines)))
    read, connect = nginx.settings[Role.UPSTREAM_READ], nginx.settings[Role.UPSTREAM_CONNECT]
    assert isinstance(read, Explicit)
    assert isinstance(connect, Default)
    assert (read.option, value_of(read)) == ("uwsgi_read_timeout", Duration.of(s=9))
    assert (connect.option, value_of(connect)) == ("uwsgi_connect_timeout", Duration.of(s=60))
    assert "pool" not in nginx.traits


def test_requests_per_connection_and_tcp_probes_reach_the_hop(tmp_path: Path) -> None:
    conf = CONF.replace("listen 8080;", "listen 8080 so_keepalive=75s; keepalive_requests 5;")
    web = by_route(loaded(tmp_path, image(conf)))["/"].hops[1]
    assert web.traits["max_requests"] == "5"
    assert value_of(web.settings[Role.TCP_KEEPALIVE]) == Duration.of(s=75)
    causes = {f.cause for f in rules.check(loaded(tmp_path, image(conf)).stack).findings}
    assert {"connection-limit-requests", "tcp-keepalive-confusion"} <= causes
