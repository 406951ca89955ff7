"""An httpd.conf as the lab runs it: other ports, paths and times, and every other byte as it was."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from keepalign.errors import LabError
from keepalign.join import load_stack
from keepalign.lab.recipes import apache_httpd
from keepalign.lab.recipes._apache_edits import Apache
from keepalign.lab.recipes.apache_httpd import Rewritten, backends_of, launch, rewrite
from keepalign.model.source import SourceText
from keepalign.readers._fragments import ApacheFragment
from keepalign.readers.apache_httpd import ApacheReader

STORY = Path(__file__).parents[3] / "examples" / "orders-api"
FOLDER = Path("/run/task")
PORTS = {8080: 20001, 8443: 20002}
BACKENDS = {8000: 20003, 8001: 20004}


@pytest.fixture(autouse=True)
def apache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An Apache with the modules that these tests name; lab-marked tests use the real one."""
    if request.node.get_closest_marker("lab") is None:
        for name in ("mpm_event", "proxy", "proxy_http", "headers", "authz_core"):
            (tmp_path / f"mod_{name}.so").touch()
        found = Apache("/usr/sbin/apache2", "2.4.71", tmp_path, frozenset({"core", "unixd", "log_config"}))
        monkeypatch.setattr(apache_httpd, "find", lambda: found)


def run(text: str, files: Mapping[str, str] | None = None, *, scale: int = 10) -> Rewritten:
    """The configuration rewritten; `files` are those it includes, by the pattern that names them."""
    sources = {name: SourceText(name, body.encode()) for name, body in (files or {}).items()}
    source = SourceText("httpd.conf", text.encode())

    def include(pattern: str) -> list[SourceText]:
        if pattern.endswith("*.conf"):
            return [sources[name] for name in sorted(sources) if name.startswith(pattern[: -len("*.conf")])]
        return [sources[pattern]] if pattern in sources else []

    fragment = ApacheReader().read_tree(source, include)
    return rewrite(
        source, fragment, folder=FOLDER, ports=PORTS, backends=BACKENDS, scale=scale, sources=sources
    )


def changed(text: str, *, scale: int = 10) -> dict[str, str]:
    """Lines that are not kept: as written → as run."""
    before, after = text.splitlines(), run(text, scale=scale).text.decode().splitlines()
    kept = after[3 : 3 + len(before)]
    return {a: b for a, b in zip(before, kept, strict=True) if a != b}


def test_story_changes_in_ports_paths_and_times_alone(tmp_path: Path) -> None:
    loaded = load_stack([str(STORY / "broken")])
    conf = loaded.targets[0].programs["httpd"].server
    assert isinstance(conf, ApacheFragment)
    source = loaded.sources[conf.file]
    done = rewrite(source, conf, folder=FOLDER, ports=PORTS, backends=BACKENDS, scale=10)
    diff = done.diff.replace(str(tmp_path), "MODULES").replace(source.file, "httpd.conf")
    lines = [line for line in diff.splitlines() if not line.startswith("@@")]
    # What stands at the end depends on who runs the test.
    assert lines[: lines.index("+PidFile /run/task/httpd.pid")] == snapshot(
        [
            "--- a/httpd.conf",
            "+++ b/httpd.conf",
            "+KeepAliveTimeout 500ms",
            "+Timeout 6",
            "+ErrorLog /run/task/error.log",
            '-ServerRoot "/usr/local/apache2"',
            '+ServerRoot "/run/task"',
            "-Listen 8080",
            "+Listen 127.0.0.1:20001",
            "-LoadModule mpm_event_module modules/mod_mpm_event.so",
            "-LoadModule authz_core_module modules/mod_authz_core.so",
            "-LoadModule log_config_module modules/mod_log_config.so",
            "-LoadModule headers_module modules/mod_headers.so",
            "-LoadModule proxy_module modules/mod_proxy.so",
            "-LoadModule proxy_http_module modules/mod_proxy_http.so",
            "-LoadModule unixd_module modules/mod_unixd.so",
            "+LoadModule mpm_event_module MODULES/mod_mpm_event.so",
            "+LoadModule authz_core_module MODULES/mod_authz_core.so",
            "+# log_config_module is built in",
            "+LoadModule headers_module MODULES/mod_headers.so",
            "+LoadModule proxy_module MODULES/mod_proxy.so",
            "+LoadModule proxy_http_module MODULES/mod_proxy_http.so",
            "+# unixd_module is built in",
            "-User www-data",
            "-Group www-data",
            "+# User (set at the end)",
            "+# Group (set at the end)",
            "-ErrorLog /proc/self/fd/2",
            "+ErrorLog /run/task/error.log",
            "-CustomLog /proc/self/fd/1 timed",
            "+CustomLog /run/task/access.log timed",
            "-Timeout 20",
            "+Timeout 2",
            "-KeepAliveTimeout 5",
            "+KeepAliveTimeout 500ms",
            "-<VirtualHost *:8080>",
            "+<VirtualHost *:20001>",
            "-    ProxyPass        /reports http://127.0.0.1:8001/reports timeout=300",
            "-    ProxyPassReverse /reports http://127.0.0.1:8001/reports",
            "+    ProxyPass        /reports http://127.0.0.1:20004/reports timeout=30",
            "+    ProxyPassReverse /reports http://127.0.0.1:20004/reports",
            "-    ProxyPass        / http://127.0.0.1:8000/",
            "-    ProxyPassReverse / http://127.0.0.1:8000/",
            "+    ProxyPass        / http://127.0.0.1:20003/",
            "+    ProxyPassReverse / http://127.0.0.1:20003/",
            "+",
        ]
    )


def test_defaults_are_written_where_any_line_of_the_user_overrides_them() -> None:
    text = run("Listen 8080\n").text.decode()
    assert text.startswith("KeepAliveTimeout 500ms\nTimeout 6\nErrorLog /run/task/error.log\nListen 127")
    assert "PidFile /run/task/httpd.pid\n" in text.partition("Listen")[2]


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("KeepAliveTimeout 5", "KeepAliveTimeout 500ms"),
        ("KeepAliveTimeout 1500ms", "KeepAliveTimeout 150ms"),
        ("KeepAliveTimeout 2mi", "KeepAliveTimeout 12000ms"),
        ("KeepAliveTimeout 5seconds", "KeepAliveTimeout 500ms"),
        ("keepalivetimeout  \t7", "keepalivetimeout  \t700ms"),
        ("Timeout 300", "Timeout 30"),
        ("Timeout 25", "Timeout 3"),
        ("Timeout 500ms", "Timeout 50"),
        ("ProxyTimeout 60", "ProxyTimeout 6"),
        ("GracefulShutdownTimeout 100", "GracefulShutdownTimeout 10"),
        ('ErrorLog "|/usr/bin/rotatelogs /x 5"', "ErrorLog /run/task/error.log"),
        ("CustomLog /proc/self/fd/1 combined", "CustomLog /run/task/access.log combined"),
        ("TypesConfig conf/mime.types", "TypesConfig /run/task/mime.types"),
        ("Listen 0.0.0.0:8080", "Listen 127.0.0.1:20001"),
        ("Listen 8443 https", "Listen 127.0.0.1:20002 https"),
        ("ServerRoot /usr/local/apache2", 'ServerRoot "/run/task"'),
        ("User www-data", "# User (set at the end)"),
        ("PidFile /var/run/httpd.pid", "# PidFile (set at the end)"),
        ("LoadModule unixd_module modules/mod_unixd.so", "# unixd_module is built in"),
        ("ProxyPass / http://127.0.0.1:8000/", "ProxyPass / http://127.0.0.1:20003/"),
        (
            "ProxyPass /r http://app:8001/r timeout=300 ttl=60 retry=0 keepalive=On",
            "ProxyPass /r http://127.0.0.1:20004/r timeout=30 ttl=6 retry=0 keepalive=On",
        ),
        (
            "ProxyPass / http://app:8000/ connectiontimeout=500ms retry=5",
            "ProxyPass / http://127.0.0.1:20003/ connectiontimeout=50ms retry=1",
        ),
        ("ProxyPassReverse / http://app:8000/", "ProxyPassReverse / http://127.0.0.1:20003/"),
        ("ProxyPassMatch ^/(.*)$ http://app:8000/$1", "ProxyPassMatch ^/(.*)$ http://127.0.0.1:20003/$1"),
        ("RewriteRule ^/a http://app:8000/b [P,L]", "RewriteRule ^/a http://127.0.0.1:20003/b [P,L]"),
    ],
)
def test_directive_is_rewritten(line: str, as_run: str) -> None:
    assert changed(f"{line}\n") == {line: as_run}


@pytest.mark.parametrize(
    "line",
    [
        "KeepAlive Off",
        "KeepAlive On",
        "KeepAliveTimeout 0",
        "MaxKeepAliveRequests 100",
        "GracefulShutdownTimeout 0",
        "RequestHeader set X-Timeout 300",
        "# Timeout 300",
        'LogFormat "%h %D" timed',
        "ProxyPass /static !",
        "ProxyPassReverse / https://elsewhere.example/",
        "RewriteRule ^/a http://app:8000/b [R=301]",
    ],
)
def test_directive_is_kept(line: str) -> None:
    assert changed(f"{line}\n") == {}


def test_times_inside_sections_are_scaled_in_their_place() -> None:
    text = """\
<VirtualHost *:8080>
    KeepAliveTimeout 20
    Timeout 40
    <Location "/slow">
        ProxyPass http://127.0.0.1:8001/slow timeout=90
    </Location>
</VirtualHost>
"""
    assert changed(text) == {
        "<VirtualHost *:8080>": "<VirtualHost *:20001>",
        "    KeepAliveTimeout 20": "    KeepAliveTimeout 2000ms",
        "    Timeout 40": "    Timeout 4",
        "        ProxyPass http://127.0.0.1:8001/slow timeout=90": (
            "        ProxyPass http://127.0.0.1:20004/slow timeout=9"
        ),
    }


def test_a_host_without_its_own_time_still_gets_the_scaled_default() -> None:
    text = "Listen 8080\n<VirtualHost *:8080>\n    KeepAliveTimeout 20\n</VirtualHost>\n"
    assert run(text).text.startswith(b"KeepAliveTimeout 500ms\n")


def test_defined_values_are_replaced_where_they_are_used() -> None:
    text = """\
Define PORT 8080
Define WAIT 30
Listen ${PORT}
KeepAliveTimeout ${WAIT}
<VirtualHost *:${PORT}>
</VirtualHost>
"""
    assert changed(text) == {
        "Listen ${PORT}": "Listen 127.0.0.1:20001",
        "KeepAliveTimeout ${WAIT}": "KeepAliveTimeout 3000ms",
        "<VirtualHost *:${PORT}>": "<VirtualHost *:20001>",
    }


@pytest.mark.parametrize(
    ("address", "as_run"),
    [
        ("_default_:8080", "_default_:20001"),
        ("10.1.2.3:8080", "*:20001"),
        ("[::1]:8443", "*:20002"),
        ("*:8080 *:8443", "*:20001 *:20002"),
        ("10.1.2.3", "*"),
    ],
)
def test_virtual_host_answers_on_loopback(address: str, as_run: str) -> None:
    text = f"Listen 8080\n<VirtualHost {address}>\n</VirtualHost>\n"
    assert changed(text)[f"<VirtualHost {address}>"] == f"<VirtualHost {as_run}>"


def test_one_port_is_listened_to_once() -> None:
    assert changed("Listen 0.0.0.0:8080\nListen [::]:8080\n")["Listen [::]:8080"].startswith("# Listen")


def test_what_is_not_utf_8_is_kept() -> None:
    source = SourceText("httpd.conf", b"# caf\xe9\nTimeout 300\n")
    fragment = ApacheReader().read(source)
    done = rewrite(source, fragment, folder=FOLDER, ports={}, backends={}, scale=10)
    assert b"# caf\xe9\nTimeout 30\n" in done.text


def test_missing_module_is_an_error_with_its_place() -> None:
    with pytest.raises(LabError) as raised:
        run("Listen 8080\nLoadModule jk_module modules/mod_jk.so\n")
    assert raised.value.message == snapshot(
        "httpd.conf:2:1: mod_jk.so is not among the modules of Apache 2.4.71 here"
    )
    assert "install the package that has it" in raised.value.hint


def test_missing_module_below_a_condition_is_left_to_apache() -> None:
    text = "<IfModule jk.c>\nLoadModule jk_module modules/mod_jk.so\n</IfModule>\n"
    assert changed(text) == {}


@pytest.mark.parametrize(
    "line",
    [
        "ProxyPass / ajp://127.0.0.1:8009/",
        "ProxyPass / unix:/run/app.sock|http://localhost/",
        'SetHandler "proxy:fcgi://127.0.0.1:9000"',
        "Listen ${PORT}",
    ],
)
def test_what_the_lab_cannot_run_is_an_error_with_its_place(line: str) -> None:
    with pytest.raises(LabError) as raised:
        run(f"ServerName x\n{line}\n")
    assert raised.value.message.startswith("httpd.conf:2:1: ")


def test_backends_are_all_that_requests_are_sent_to() -> None:
    text = """\
ProxyPass /a http://a.internal:8100/
ProxyPass /b balancer://pool/
<Proxy balancer://pool>
    BalancerMember http://b.internal:8200
    BalancerMember https://c.internal
</Proxy>
ProxyPassReverse /a http://ignored:8300/
RewriteRule ^/x http://d.internal/x [P]
"""
    assert backends_of(ApacheReader().read(SourceText("httpd.conf", text.encode()))) == {8100, 8200, 443, 80}


def test_included_files_are_rewritten_and_pointed_at() -> None:
    done = run(
        "Listen 8080\nInclude conf/extra/times.conf\nInclude sites/*.conf\nKeepAlive On\n",
        {
            "conf/extra/times.conf": "# times\nKeepAliveTimeout 30\nInclude conf/more.conf\n",
            "conf/more.conf": "Timeout 90\n",
            "sites/a.conf": "<VirtualHost *:8080>\nProxyPass / http://app:8000/\n</VirtualHost>\n",
            "sites/b.conf": "ServerAdmin nobody@example.com\n",
            "sites/c.conf": "# nothing\n",
        },
    )
    main = done.text.decode().splitlines()[3:8]
    assert main == snapshot(
        [
            "Listen 127.0.0.1:20001",
            'Include "/run/task/included-1-times.conf"',
            'Include "/run/task/included-3-a.conf"',
            'Include "/run/task/included-4-b.conf"',
            "KeepAlive On",
        ]
    )
    assert {name: text.decode() for name, text in done.included.items()} == snapshot(
        {
            "included-1-times.conf": """\
# times
KeepAliveTimeout 3000ms
Include "/run/task/included-2-more.conf"
""",
            "included-2-more.conf": "Timeout 9\n",
            "included-3-a.conf": """\
<VirtualHost *:20001>
ProxyPass / http://127.0.0.1:20003/
</VirtualHost>
""",
            "included-4-b.conf": "ServerAdmin nobody@example.com\n",
        }
    )


def test_file_included_twice_is_written_once() -> None:
    done = run(
        "<VirtualHost *:8080>\nInclude proxy.conf\n</VirtualHost>\n"
        "<VirtualHost *:8443>\nInclude proxy.conf\n</VirtualHost>\n",
        {"proxy.conf": "ProxyPass / http://app:8000/ timeout=60\n"},
    )
    assert list(done.included.values()) == [b"ProxyPass / http://127.0.0.1:20003/ timeout=6\n"]
    assert done.text.count(b'Include "/run/task/included-1-proxy.conf"') == 2


def test_optional_include_of_nothing_cannot_pick_up_files_of_this_machine() -> None:
    line = "IncludeOptional /etc/apache2/conf-enabled/*.conf"
    assert changed(f"{line}\n") == {line: "# IncludeOptional (matches no file)"}


def test_include_of_an_unknown_file_is_an_error_with_its_place() -> None:
    with pytest.raises(LabError) as raised:
        run("ServerName x\nInclude ${CONF}/x.conf\n")
    assert raised.value.message == "httpd.conf:2:1: no file is known for Include ${CONF}/x.conf"


def test_missing_apache_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(apache_httpd, "search_path", lambda: "/nowhere")
    apache_httpd.find.cache_clear()
    try:
        with pytest.raises(LabError) as raised:
            apache_httpd.find()
    finally:
        apache_httpd.find.cache_clear()
    assert raised.value.message == "Apache httpd 2.4 is missing"
    assert "apt-get install --no-install-recommends apache2-bin" in raised.value.hint


@pytest.mark.lab
def test_apache_accepts_a_configuration_with_includes_and_modules_of_a_real_image(tmp_path: Path) -> None:
    text = """\
ServerRoot "/usr/local/apache2"
Listen 8080
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule mime_module modules/mod_mime.so
LoadModule unixd_module modules/mod_unixd.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
User www-data
ServerName here
<IfModule mime_module>
    TypesConfig conf/mime.types
</IfModule>
Include conf/site.conf
"""
    sources = {"site.conf": SourceText("site.conf", b"Timeout 90\nProxyPass / http://app:8000/\n")}
    source = SourceText("httpd.conf", text.encode())
    fragment = ApacheReader().read_tree(source, lambda _: [sources["site.conf"]])
    done = rewrite(
        source, fragment, folder=tmp_path, ports=PORTS, backends=BACKENDS, scale=10, sources=sources
    )
    started = launch(tmp_path, done, 20001, "SIGWINCH", {"MODE": "live"})
    assert started.env["MODE"] == "live"
    answer = subprocess.run(
        [*started.argv, "-t"], capture_output=True, text=True, timeout=20, check=False, env=dict(started.env)
    )
    assert answer.returncode == 0, answer.stderr
