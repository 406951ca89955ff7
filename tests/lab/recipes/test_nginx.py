"""An nginx configuration as the lab runs it: other ports, paths and times, and every other byte as it was."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from inline_snapshot import snapshot
from tests.lab import small_stack

from keepalign.errors import LabError
from keepalign.join import load_stack
from keepalign.lab import loop
from keepalign.lab.recipes import _nginx_edits, nginx
from keepalign.lab.recipes._nginx_edits import Nginx
from keepalign.lab.recipes.nginx import MAIN, Rewritten, backends_of, launch, rewrite
from keepalign.lab.scale import Scale
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.lab.tasks import Application, Ports, TaskFactory, until_ready
from keepalign.model.source import SourceText
from keepalign.readers._fragments import NginxFragment
from keepalign.readers.nginx import NginxReader

STORY = Path(__file__).parents[3] / "examples" / "orders-api-nginx"
FOLDER = Path("/run/task")
PORTS = {8080: 20001, 80: 20002}
BACKENDS = {8000: 20003, 8001: 20004, 443: 20005}


@pytest.fixture(autouse=True)
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An nginx of a known version, started by an ordinary user; lab-marked tests use the real one."""
    if request.node.get_closest_marker("lab") is None:
        (tmp_path / "ngx_http_echo_module.so").touch()
        found = Nginx("/usr/sbin/nginx", "1.22.1", tmp_path, "--without-http_scgi_module")
        monkeypatch.setattr(nginx, "find", lambda: found)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)


def read(text: str, files: Mapping[str, str] | None = None) -> tuple[NginxFragment, dict[str, SourceText]]:
    """The fragment and its texts; `files` are those it includes, by the pattern that names them."""
    sources = {name: SourceText(name, body.encode()) for name, body in (files or {}).items()}
    main = SourceText("nginx.conf", text.encode())

    def include(pattern: str) -> list[SourceText]:
        if "*" in pattern:
            return [sources[name] for name in sorted(sources) if name.startswith(pattern.partition("*")[0])]
        return [sources[pattern]] if pattern in sources else []

    return NginxReader().read_tree(main, include), {**sources, "nginx.conf": main}


def run(text: str, files: Mapping[str, str] | None = None, *, scale: int = 10) -> Rewritten:
    fragment, sources = read(text, files)
    return rewrite(
        sources["nginx.conf"],
        fragment,
        folder=FOLDER,
        ports=PORTS,
        backends=BACKENDS,
        scale=scale,
        sources=sources,
    )


def main(text: str, files: Mapping[str, str] | None = None) -> str:
    return run(text, files).files[MAIN].decode()


def replaced(text: str) -> dict[str, str]:
    """Lines that are not kept: as written → as run, without those that are new."""
    done = run(text)
    here = done.files[MAIN].decode().split("\n")
    kept: dict[str, str] = {}
    for line, place in zip(here, done.places[MAIN], strict=True):
        kept[place] = line  # the last one of a place is its own; new ones stand in front of it
    before = {f"nginx.conf:{number}": line for number, line in enumerate(text.split("\n"), start=1)}
    return {line: kept[place] for place, line in before.items() if kept[place] != line}


def in_location(line: str) -> str:
    return f"events {{\n}}\nhttp {{\nserver {{\nlisten 8080;\nlocation / {{\n{line}\n}}\n}}\n}}\n"


def in_server(line: str) -> str:
    return f"events {{\n}}\nhttp {{\nserver {{\n{line}\n}}\n}}\n"


def in_http(line: str) -> str:
    return f"events {{\n}}\nhttp {{\n{line}\n}}\n"


def in_main(line: str) -> str:
    return f"{line}\nevents {{\n}}\n"


def test_story_changes_in_ports_paths_and_times_alone() -> None:
    loaded = load_stack([str(STORY / "broken")])
    (target,) = loaded.targets
    conf = target.programs["nginx"].server
    assert isinstance(conf, NginxFragment)
    ports = {8080: 20001, 8000: 20003, 8001: 20004}
    done = rewrite(loaded.sources[conf.file], conf, folder=FOLDER, ports=ports, backends=ports, scale=10)
    lines = [line for line in done.diff.splitlines()[2:] if not line.startswith("@@")]
    assert lines == snapshot(
        [
            "+daemon off;",
            "-worker_processes  auto;",
            "-pid  /run/nginx.pid;",
            "-error_log  /dev/stderr warn;",
            "+worker_processes  2;",
            '+pid  "/run/task/nginx.pid";',
            '+error_log  "/run/task/error.log" warn;',
            "-    include       /etc/nginx/mime.types;",
            "+    # include /etc/nginx/mime.types (a file of the image)",
            "-    access_log  /dev/stdout  timed;",
            '+    access_log  "/run/task/access.log"  timed;',
            "-    keepalive_timeout  5s;",
            "+    keepalive_timeout  500ms;",
            "-    proxy_read_timeout  20s;",
            "+    proxy_read_timeout  2000ms;",
            "-        server  127.0.0.1:8000;",
            "+        server  127.0.0.1:20003;",
            "-    }",
            "+    keepalive_timeout 6000ms; }",
            "-        server  127.0.0.1:8001;",
            "+        server  127.0.0.1:20004;",
            "-    }",
            "+    keepalive_timeout 6000ms; }",
            "-        listen  8080;",
            "+        listen  127.0.0.1:20001;",
            "-            proxy_read_timeout  300s;",
            "+            proxy_read_timeout  30000ms;",
            "+client_body_timeout 6000ms;",
            "+proxy_connect_timeout 6000ms;",
            '+client_body_temp_path "/run/task/client_body_temp";',
            '+proxy_temp_path "/run/task/proxy_temp";',
            '+fastcgi_temp_path "/run/task/fastcgi_temp";',
            '+uwsgi_temp_path "/run/task/uwsgi_temp";',
        ]
    )


def test_what_is_left_to_defaults_is_written_out_scaled() -> None:
    text = main(in_http("server {\nlisten 8080;\n}"))
    assert text == snapshot("""\
daemon off;
pid "/run/task/nginx.pid";
error_log "/run/task/error.log";
events {
}
http {
server {
listen 127.0.0.1:20001;
}
keepalive_timeout 7500ms;
client_body_timeout 6000ms;
proxy_connect_timeout 6000ms;
proxy_read_timeout 6000ms;
access_log "/run/task/access.log";
client_body_temp_path "/run/task/client_body_temp";
proxy_temp_path "/run/task/proxy_temp";
fastcgi_temp_path "/run/task/fastcgi_temp";
uwsgi_temp_path "/run/task/uwsgi_temp";
}
""")


def test_own_lines_keep_the_defaults_away() -> None:
    text = main(
        "daemon off;\npid a;\nerror_log b;\nevents {\n}\nhttp {\ninclude times.conf;\n}\n",
        {"times.conf": "keepalive_timeout 20s;\nproxy_read_timeout 90;\naccess_log off;\n"},
    )
    for name in ("daemon", "pid", "error_log", "keepalive_timeout", "proxy_read_timeout", "access_log"):
        assert text.count(f"{name} ") == (name in ("daemon", "pid", "error_log")), name


def test_the_workers_user_is_replaced_when_root_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(_nginx_edits, "nobody", lambda: ("nobody", "nogroup"))
    assert "user nobody nogroup;" in main(in_main("user nginx www;"))
    assert main(in_main("worker_processes 1;")).splitlines()[3] == "user nobody nogroup;"


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("daemon on;", "daemon off;"),
        ("master_process off;", "master_process on;"),
        ("worker_processes auto;", "worker_processes 2;"),
        ("worker_shutdown_timeout 100s;", "worker_shutdown_timeout 10000ms;"),
        ("timer_resolution 100ms;", "timer_resolution 10ms;"),
        ("pid /run/nginx.pid;", 'pid "/run/task/nginx.pid";'),
        ("error_log /dev/stderr warn;", 'error_log "/run/task/error.log" warn;'),
        ("error_log syslog:server=log.internal debug;", 'error_log "/run/task/error.log" debug;'),
    ],
)
def test_directive_of_the_main_file_is_rewritten(line: str, as_run: str) -> None:
    assert replaced(in_main(line)) == {line: as_run}


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("keepalive_timeout 5;", "keepalive_timeout 500ms;"),
        ("keepalive_timeout  5s;", "keepalive_timeout  500ms;"),
        ("keepalive_timeout 1m30s;", "keepalive_timeout 9000ms;"),
        ("keepalive_timeout 1500ms;", "keepalive_timeout 150ms;"),
        ('keepalive_timeout "65" 60;', "keepalive_timeout 6500ms 6;"),
        ("keepalive_time 1h;", "keepalive_time 360000ms;"),
        ("client_header_timeout 15s;", "client_header_timeout 1500ms;"),
        ("client_body_timeout 12;", "client_body_timeout 1200ms;"),
        ("send_timeout 2;", "send_timeout 200ms;"),
        ("lingering_timeout 5s;", "lingering_timeout 500ms;"),
        ("resolver_timeout 30s;", "resolver_timeout 3000ms;"),
        ("proxy_connect_timeout 3s;", "proxy_connect_timeout 300ms;"),
        ("proxy_next_upstream_timeout 20s;", "proxy_next_upstream_timeout 2000ms;"),
        ("access_log /dev/stdout timed if=$slow;", 'access_log "/run/task/access.log" timed if=$slow;'),
        ("proxy_temp_path /var/cache/nginx/proxy 1 2;", 'proxy_temp_path "/run/task/proxy_temp" 1 2;'),
        (
            "proxy_cache_path /var/cache/nginx/x keys_zone=x:1m;",
            'proxy_cache_path "/run/task/proxy_cache" keys_zone=x:1m;',
        ),
        ("root /usr/share/nginx/html;", 'root "/run/task/html";'),
        ("include /etc/nginx/mime.types;", "# include /etc/nginx/mime.types (a file of the image)"),
        ("include /etc/nginx/conf.d/*.conf;", "# include /etc/nginx/conf.d/*.conf (matches no file)"),
        ("include mime.types; sendfile on;", " sendfile on;"),
        ("resolver 169.254.169.253 dns.internal valid=10s;", "resolver 127.0.0.1;"),
        ("deny all;", "# deny all (the lab calls from loopback)"),
        ("proxy_bind $remote_addr transparent;", "proxy_bind off;"),
    ],
)
def test_directive_of_the_http_block_is_rewritten(line: str, as_run: str) -> None:
    assert replaced(in_http(line)) == {line: as_run}


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("listen 8080;", "listen 127.0.0.1:20001;"),
        ("listen *:8080 default_server;", "listen 127.0.0.1:20001 default_server;"),
        ("listen [::]:8080 ipv6only=on backlog=1024;", "listen 127.0.0.1:20001  backlog=1024;"),
        ("listen 10.0.0.1;", "listen 127.0.0.1:20002;"),
        ("listen 9999;", "listen 127.0.0.1:9999;"),
        ("listen unix:/run/nginx.sock;", 'listen "unix:/run/task/nginx.sock";'),
        ("proxy_read_timeout 20s;", "proxy_read_timeout 2000ms;"),
    ],
)
def test_directive_of_a_server_block_is_rewritten(line: str, as_run: str) -> None:
    extra = "" if line.startswith("listen") else "listen 127.0.0.1:1;"
    text = in_server(f"{line}\n{extra}")
    assert replaced(text) == {line: as_run}


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("proxy_pass http://127.0.0.1:8000;", "proxy_pass http://127.0.0.1:20003;"),
        ("proxy_pass http://app:8000/api/;", "proxy_pass http://127.0.0.1:20003/api/;"),
        ("proxy_pass 'http://app:8000/a b';", "proxy_pass 'http://127.0.0.1:20003/a b';"),
        ("proxy_pass http://[::1]:8001$request_uri;", "proxy_pass http://127.0.0.1:20004$request_uri;"),
        ("proxy_pass https://legacy.internal;", "proxy_pass http://127.0.0.1:20005;"),
        ("alias /srv/static/;", 'alias "/run/task/html/";'),
    ],
)
def test_directive_of_a_location_is_rewritten(line: str, as_run: str) -> None:
    assert replaced(in_location(line))[line] == as_run


@pytest.mark.parametrize(
    "line",
    [
        "keepalive_timeout 0;",
        "keepalive_requests 1000;",
        "access_log off;",
        "sendfile on;",
        "# proxy_read_timeout 20s;",
        "log_format timed '$request_time';",
        "proxy_next_upstream error timeout;",
        "add_header X-Timeout 300s;",
        "client_max_body_size 10m;",
        "map $uri $x { default 1; root 2; }",
    ],
)
def test_directive_is_kept(line: str) -> None:
    assert replaced(in_http(line)) == {}


def test_upstream_is_led_to_loopback_and_its_times_are_scaled() -> None:
    text = in_http("""\
upstream pool {
zone pool 64k;
server a:8000 resolve max_fails=2;
server b:8001 fail_timeout=25s backup;
keepalive 16;
}
upstream own {
server a:8000;
keepalive 16;
keepalive_timeout 15s;
}
upstream cold {
server a:8000 fail_timeout=1m;
}
server {
listen 8080;
location / {
proxy_pass http://pool/x;
}
location /own {
proxy_pass https://own;
}
}""")
    assert replaced(text) == snapshot(
        {
            "server a:8000 resolve max_fails=2;": "server 127.0.0.1:20003  max_fails=2 fail_timeout=1s;",
            "server b:8001 fail_timeout=25s backup;": "server 127.0.0.1:20004 fail_timeout=3s backup;",
            "}": "keepalive_timeout 6000ms; }",
            "server a:8000;": "server 127.0.0.1:20003;",
            "keepalive_timeout 15s;": "keepalive_timeout 1500ms;",
            "server a:8000 fail_timeout=1m;": "server 127.0.0.1:20003 fail_timeout=6s;",
            "listen 8080;": "listen 127.0.0.1:20001;",
            "proxy_pass https://own;": "proxy_pass http://own;",
        }
    )
    assert backends_of(read(text)[0]) == {8000, 8001}


def test_server_without_an_address_listens_on_port_80_of_life() -> None:
    assert "\nlisten 127.0.0.1:20002; }" in main(in_server("server_name x;"))


def test_one_port_is_listened_to_once_in_a_server_and_again_in_the_next() -> None:
    text = in_http(
        "server {\nlisten 8080;\nlisten [::]:8080;\n}\nserver {\nserver_name x;\nlisten 0.0.0.0:8080;\n}"
    )
    assert replaced(text) == snapshot(
        {
            "listen 8080;": "listen 127.0.0.1:20001;",
            "listen [::]:8080;": "# listen [::]:8080 (once is enough here)",
            "listen 0.0.0.0:8080;": "listen 127.0.0.1:20001;",
        }
    )


def test_lines_between_others_on_one_line_are_rewritten_too() -> None:
    text = "events{}http{keepalive_timeout 5;server{listen 8080;listen [::]:8080;location /{proxy_pass http://a:8000;}}}"
    line = main(text).splitlines()
    assert line[3].startswith(
        "events{}http{keepalive_timeout 500ms;server{listen 127.0.0.1:20001;location /{proxy"
    )


def test_what_is_not_utf_8_is_kept() -> None:
    source = SourceText("nginx.conf", b"# caf\xe9\nevents {}\nhttp { add_header X \xe9; send_timeout 5; }\n")
    fragment = NginxReader().read(source)
    done = rewrite(source, fragment, folder=FOLDER, ports={}, backends={}, scale=10)
    assert b"# caf\xe9\nevents {}\nhttp { add_header X \xe9; send_timeout 500ms; " in done.files[MAIN]


def test_included_files_are_rewritten_and_pointed_at() -> None:
    done = run(
        "events {\n}\nhttp {\ninclude conf.d/*.conf;\ninclude empty.conf;\n}\n",
        {
            "conf.d/a.conf": "server {\n    listen 8080;\n    include proxy.conf;\n}\n",
            "conf.d/b.conf": "keepalive_timeout 5s;\n",
            "proxy.conf": "proxy_read_timeout 20s;\n",
            "empty.conf": "# nothing\n",
        },
    )
    assert {name: text.decode() for name, text in done.files.items() if name != MAIN} == snapshot(
        {
            "included-1-a.conf": """\
server {
    listen 127.0.0.1:20001;
    include "/run/task/included-2-proxy.conf";
}
""",
            "included-2-proxy.conf": "proxy_read_timeout 2000ms;\n",
            "included-3-b.conf": "keepalive_timeout 500ms;\n",
        }
    )
    lines = done.files[MAIN].decode().splitlines()
    assert [line for line in lines if "include" in line] == snapshot(
        [
            'include "/run/task/included-1-a.conf"; include "/run/task/included-3-b.conf";',
            "# include empty.conf (nothing in it)",
        ]
    )
    assert "keepalive_timeout" not in done.files[MAIN].decode()


def test_file_included_twice_is_written_once() -> None:
    done = run(
        in_http("server {\nlisten 8080;\ninclude p.conf;\n}\nserver {\nlisten 80;\ninclude p.conf;\n}"),
        {"p.conf": "location / {\nproxy_pass http://app:8000;\n}\n"},
    )
    assert [text for name, text in done.files.items() if name != MAIN] == [
        b"location / {\nproxy_pass http://127.0.0.1:20003;\n}\n"
    ]
    assert done.files[MAIN].count(b'include "/run/task/included-1-p.conf";') == 2


def test_piece_gets_a_main_file_around_it() -> None:
    done = run("server {\n    listen 8080;\n    location / { proxy_pass http://app:8000; }\n}\n")
    assert {name: text.decode() for name, text in done.files.items()} == snapshot(
        {
            "included-0-nginx.conf": """\
server {
    listen 127.0.0.1:20001;
    location / { proxy_pass http://127.0.0.1:20003; }
}
""",
            "nginx.conf": """\
daemon off;
pid "/run/task/nginx.pid";
error_log "/run/task/error.log";
events {
}
http {
    keepalive_timeout 7500ms;
    client_body_timeout 6000ms;
    proxy_connect_timeout 6000ms;
    proxy_read_timeout 6000ms;
    access_log "/run/task/access.log";
    client_body_temp_path "/run/task/client_body_temp";
    proxy_temp_path "/run/task/proxy_temp";
    fastcgi_temp_path "/run/task/fastcgi_temp";
    uwsgi_temp_path "/run/task/uwsgi_temp";
    include "/run/task/included-0-nginx.conf";
}
""",
        }
    )
    assert "b/nginx.conf" in done.diff


@pytest.mark.parametrize(
    ("base", "as_run"),
    [("nginx:1.28", b"keepalive_timeout 6500ms;"), ("debian:12", b"keepalive_timeout 7500ms;")],
)
def test_piece_has_the_keep_alive_of_the_main_file_in_its_image(
    base: str, as_run: bytes, tmp_path: Path
) -> None:
    small_stack.write(tmp_path)
    (tmp_path / "httpd" / "Dockerfile").write_text(
        f"FROM {base}\nCOPY site.conf /etc/nginx/conf.d/\n" + 'CMD ["nginx", "-g", "daemon off;"]\n'
    )
    (tmp_path / "httpd" / "httpd.conf").unlink()
    (tmp_path / "httpd" / "site.conf").write_text(
        "server {\n    listen 8080;\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n    }\n}\n"
    )
    loaded = small_stack.load(tmp_path)
    program = loaded.targets[0].programs["httpd"]
    assert isinstance(program.server, NginxFragment)
    source, idle = loaded.sources[program.server.file], nginx.shipped_idle(program)
    done = rewrite(source, program.server, folder=FOLDER, ports=PORTS, backends=BACKENDS, scale=10, idle=idle)
    assert as_run in done.files[MAIN]


POOLED = """\
events {
}
http {
upstream app {
server app:8000;
}
upstream kept {
server app:8001;
keepalive 4;
}
server {
listen 8080;
location / {
proxy_pass http://app;
proxy_set_header Host $host;
}
location /own {
proxy_pass http://kept;
proxy_set_header connection close;
}
}
}
"""


def test_what_newer_nginx_does_by_itself_is_written_out_for_an_older_one() -> None:
    fragment, sources = read(POOLED)
    source = sources["nginx.conf"]
    done = rewrite(source, fragment, folder=FOLDER, ports=PORTS, backends=BACKENDS, scale=10, pools=True)
    lines = done.files[MAIN].decode().splitlines()
    assert [line for line in lines if "}" in line] == snapshot(
        [
            "}",
            "keepalive 32; keepalive_timeout 6000ms; }",
            "keepalive_timeout 6000ms; }",
            'proxy_set_header Connection ""; }',
            "}",
            "}",
            "}",
        ]
    )
    assert "proxy_http_version 1.1;" in lines
    assert 'proxy_set_header Connection "";' in lines


@pytest.mark.parametrize(
    ("image", "here", "told"),
    [
        ("1.30", "1.22.1", True),
        ("1.30", "1.30.1", False),
        ("1.28", "1.22.1", False),
        ("1.28", "1.30.1", False),
    ],
)
def test_older_nginx_is_told_to_pool_only_where_the_images_does(
    image: str, here: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_stack.write(tmp_path)
    (tmp_path / "httpd" / "Dockerfile").write_text(f"FROM nginx:{image}\nCOPY nginx.conf /etc/nginx/\n")
    (tmp_path / "httpd" / "httpd.conf").unlink()
    (tmp_path / "httpd" / "nginx.conf").write_text(POOLED)
    monkeypatch.setattr(nginx, "find", lambda: Nginx("/usr/sbin/nginx", here, tmp_path))
    assert nginx.must_pool(small_stack.load(tmp_path).targets[0].programs["httpd"]) is told


@pytest.mark.parametrize(
    "line",
    [
        "listen 443 ssl;",
        "listen 8080 proxy_protocol;",
        "listen 8080-8090;",
        "location / { proxy_pass http://$backend:8000; }",
        "location / { proxy_pass http://unix:/run/app.sock:/; }",
        "location / { fastcgi_pass app:9000; }",
        "include conf.d/missing.conf;",
    ],
)
def test_what_the_lab_cannot_run_is_an_error_with_its_place(line: str) -> None:
    with pytest.raises(LabError) as raised:
        run(f"events {{\n}}\nhttp {{\nserver {{\n{line}\n}}\n}}\n")
    assert raised.value.message.startswith("nginx.conf:5:")


def test_backend_on_a_unix_socket_is_an_error_with_its_place() -> None:
    with pytest.raises(LabError) as raised:
        backends_of(read(in_http("upstream app {\nserver unix:/run/app.sock;\n}"))[0])
    assert raised.value.message.startswith("nginx.conf:5:")


def test_missing_module_is_an_error_with_its_place() -> None:
    with pytest.raises(LabError) as raised:
        run(in_main("load_module modules/ngx_http_brotli_filter_module.so;"))
    assert raised.value.message == snapshot(
        "nginx.conf:1:1: ngx_http_brotli_filter_module.so is not among the modules of nginx 1.22.1 here"
    )


def test_module_of_this_machine_is_loaded_from_where_it_lies(tmp_path: Path) -> None:
    text = main(in_main("load_module modules/ngx_http_echo_module.so;"))
    assert f'load_module "{tmp_path}/ngx_http_echo_module.so";' in text


def test_every_line_as_run_knows_the_users_own() -> None:
    done = run(in_http("server {\nlisten 8080;\n}"))
    lines = done.files[MAIN].decode().split("\n")
    places = dict(zip(lines, done.places[MAIN], strict=True))
    assert places["listen 127.0.0.1:20001;"] == "nginx.conf:5"
    assert places["keepalive_timeout 7500ms;"] == "nginx.conf:7"


def test_missing_nginx_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(nginx, "search_path", lambda: "/nowhere")
    nginx.find.cache_clear()
    try:
        with pytest.raises(LabError) as raised:
            nginx.find()
    finally:
        nginx.find.cache_clear()
    assert raised.value.message == "nginx is missing"
    assert "apt-get install --no-install-recommends nginx-light" in raised.value.hint


# With the real nginx


def real(text: str, folder: Path, ports: Mapping[int, int], *, pools: bool = False) -> Rewritten:
    fragment, source = read(text)[0], SourceText("nginx.conf", text.encode())
    return rewrite(source, fragment, folder=folder, ports=ports, backends=ports, scale=10, pools=pools)


@asynccontextmanager
async def serving(folder: Path, done: Rewritten, port: int) -> AsyncIterator[ProcessHandle]:
    """nginx, listening; it and its workers end with the block."""
    async with Supervisor.start(folder) as supervisor:
        started = launch(folder, done, port, "SIGQUIT", {})
        log = folder / "nginx.log"
        handle = await supervisor.spawn(
            list(started.argv),
            env=dict(started.env),
            cwd=started.cwd,
            stdout=log,
            stderr=log,
            stop_signal=started.stop_signal,
        )
        await until_ready("nginx", started, handle, log)
        yield handle


@pytest.mark.lab
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (in_http("# one\n# two\nbrotli on;"), 'unknown directive "brotli"'),
        (
            in_http("send_timeout 5;\n\nkeepalive_min_timeout 10s;"),
            'unknown directive "keepalive_min_timeout"',
        ),
        ("server {\n    listen 8080;\n\n\n    lisen 8081;\n\n}\n", 'unknown directive "lisen"'),
    ],
)
def test_what_this_nginx_does_not_know_is_an_error_with_the_users_line(
    text: str, complaint: str, tmp_path: Path
) -> None:
    line = next(n for n, one in enumerate(text.splitlines(), start=1) if complaint.split('"')[1] in one)
    with pytest.raises(LabError) as raised:
        launch(tmp_path, real(text, tmp_path, {8080: Ports().take()}), 0, "SIGQUIT", {})
    version = nginx.find().version
    assert raised.value.message == f"nginx.conf:{line}: nginx {version} here does not accept it: {complaint}"


@pytest.mark.lab
def test_pid_file_is_there_only_once_it_listens(tmp_path: Path) -> None:
    done = real(in_server("listen 8080;"), tmp_path, {8080: Ports().take()})
    started = launch(tmp_path, done, 0, "SIGQUIT", {})
    assert started.ready_file
    assert not Path(started.ready_file).exists()


def processes_in(folder: Path) -> set[int]:
    """Those that work in `folder`."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.add(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


@pytest.mark.lab
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs Linux's /proc to find processes")
def test_workers_of_a_killed_master_do_not_outlive_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    port = Ports().take()

    async def killed() -> set[int]:
        done = real(in_server("listen 8080;\nreturn 204;"), folder, {8080: port})
        async with serving(folder, done, port) as handle:
            # An answer comes from a worker.
            assert await asyncio.to_thread(answer, port, "/") == (204, "")
            before = processes_in(folder)
            os.kill(handle.pid, signal.SIGKILL)
            await handle.wait()
        return before

    before = asyncio.run(killed())
    assert len(before) >= 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in before)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def answer(port: int, path: str) -> tuple[int, str]:
    """Status and body of one request."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        got = connection.getresponse()
        return got.status, got.read().decode()


@pytest.mark.lab
def test_task_of_the_story_finishes_its_requests_when_it_is_stopped(tmp_path: Path) -> None:
    loaded = load_stack([str(STORY / "fixed")])

    async def run() -> tuple[tuple[int, str], int, str]:
        async with Supervisor.start(tmp_path / "run") as supervisor:
            factory = TaskFactory(
                target=loaded.targets[0],
                sources=loaded.sources,
                workload=loaded.workload,
                scale=Scale(30),
                time_scale_env=loaded.time_scale_env,
                supervisor=supervisor,
                folder=supervisor.folder,
                ports=Ports(),
                applications={name: Application(name) for name in ("api", "reports")},
            )
            task = await factory.start(1, 1)
            assert set(task.containers) == {"nginx", "api", "reports"}
            # Sent first, so that the worker that answers the other has taken it.
            waiting = http.client.HTTPConnection("127.0.0.1", task.target.port, timeout=20)
            await asyncio.to_thread(waiting.request, "GET", "/search")
            log = supervisor.folder / "task-1" / "access.log"
            quick = await asyncio.to_thread(answer, task.target.port, "/orders")
            assert quick == (200, '{"orders": []}\n')
            assert "GET /search" not in log.read_text("utf-8")  # 0.8 s here
            task.containers["nginx"].stop()
            with closing(waiting):
                slow = await asyncio.to_thread(waiting.getresponse)
                got = slow.status, slow.read().decode()
            return got, await task.containers["nginx"].wait(), factory.diffs["nginx"]

    slow, returncode, diff = loop.run(run())
    assert slow == (200, '{"hits": []}\n')
    assert returncode == 0
    assert "+    keepalive_timeout  5000ms;" in diff


@pytest.mark.lab
@pytest.mark.parametrize(("pools", "connections"), [(True, 1), (False, 3)])
def test_older_nginx_keeps_connections_when_it_is_told_to(
    pools: bool, connections: int, tmp_path: Path
) -> None:
    seen: set[tuple[str, int]] = set()

    class Backend(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.add(self.client_address)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test counts."""

    port = Ports().take()

    async def run(backend: int) -> None:
        done = real(
            f"worker_processes 1;\n{POOLED}",
            tmp_path / "run",
            {8080: port, 8000: backend, 8001: 9},
            pools=pools,
        )
        async with serving(tmp_path / "run", done, port):
            for _ in range(3):
                assert await asyncio.to_thread(answer, port, "/") == (204, "")

    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            asyncio.run(run(server.server_port))
        finally:
            server.shutdown()
            thread.join()
    assert len(seen) == connections
