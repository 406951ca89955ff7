"""Node.js behind a balancer: from image, npm script and source files to the path, the finding and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, told, whole_service, written

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules import check
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/app:1", %s portMappings = [{ containerPort = 8080 }] }'
IMAGE = "FROM node:22-alpine\nWORKDIR /srv\nCOPY . .\n"
NODE = IMAGE + 'CMD ["node", "server.js"]\n'
EXPRESS = """\
const express = require('express');
const app = express();
app.get('/', (req, res) => res.send('ok'));
const server = app.listen(8080, () => log(1));
"""
PACKAGE = '{\n  "scripts": {\n    "start": "%s"\n  },\n  "dependencies": { "express": "5" }\n}\n'


def tree(folder: Path, files: Mapping[str, str], *, more: str = "") -> str:
    """A service behind a balancer, whose image is built in `app`."""
    terraform = alb() + whole_service("app", containers=CONTAINER % more)
    package = {"app/package.json": PACKAGE % "node server.js"}
    own = {f"app/{name}": text for name, text in files.items()}
    return written(folder, {"main.tf": terraform, **package, **own})


def server(root: str) -> Hop:
    (path,) = load_stack([root]).stack.paths
    assert path.hops[0].product is Product.AWS_ALB
    assert path.hops[-1].product is Product.NODEJS
    return path.hops[-1]


def idle(root: str) -> Setting:
    return server(root).settings[Role.SERVER_IDLE]


def ms(number: int) -> Duration:
    return Duration.of(ms=number)


def test_express_has_the_default_of_node(tmp_path: Path) -> None:
    hop = server(tree(tmp_path, {"Dockerfile": NODE, "server.js": EXPRESS}))
    setting = hop.settings[Role.SERVER_IDLE]
    assert isinstance(setting, Default)
    assert (setting.value, hop.version) == (ms(5000), "22")
    assert hop.place is not None
    assert hop.place.file.endswith("app/server.js")


@pytest.mark.parametrize(
    ("start", "files"),
    [
        ('["npm", "start"]', {"package.json": PACKAGE % "NODE_ENV=production node server.js"}),
        (
            '["npm", "run", "serve"]',
            {"package.json": '{"scripts": {"serve": "cross-env A=1 node ./server"}}'},
        ),
        ('["yarn", "start"]', {"package.json": PACKAGE % "npm run x"}),
        ('["dumb-init", "node", "-r", "./trace.js", "/srv/server.js"]', {}),
        ('["server.js"]', {}),
        ('["pm2-runtime", "start", "server.js"]', {}),
        ('["sh", "-c", "exec node server.js"]', {}),
    ],
)
def test_every_way_to_start_it(start: str, files: Mapping[str, str], tmp_path: Path) -> None:
    text = f"{EXPRESS}server.keepAliveTimeout = 65_000;\n"
    other = "require('http').createServer().listen(9000).keepAliveTimeout = 1;\n"
    if "x" in files.get("package.json", "") and "npm run x" in files["package.json"]:
        files = {"package.json": '{"scripts": {"start": "npm run x", "x": "node server.js"}}'}
    made = {"Dockerfile": f"{IMAGE}CMD {start}\n", "server.js": text, "tools/mock.js": other, **files}
    assert value_of(idle(tree(tmp_path, made))) == ms(65_000)


def test_what_typescript_is_built_from(tmp_path: Path) -> None:
    nest = """\
    import { NestFactory } from '@nestjs/core';
    async function bootstrap() {
      const app = await NestFactory.create(AppModule);
      app.enableShutdownHooks();
      const server = await app.listen(process.env.PORT ?? 8080);
      app.getHttpServer().keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS ?? 61 * 1000);
    }
    bootstrap();
    """
    files = {
        "Dockerfile": f'{IMAGE}CMD ["node", "dist/main.js"]\n',
        "src/main.ts": nest,
        "src/mock.ts": "app.listen(1).keepAliveTimeout = 7;\n",
    }
    hop = server(tree(tmp_path, files))
    assert value_of(hop.settings[Role.SERVER_IDLE]) == ms(61_000)
    assert hop.traits["graceful"] == "on"
    more = 'environment = [{ name = "KEEP_ALIVE_MS", value = "75000" }],'
    assert value_of(idle(tree(tmp_path, files, more=more))) == ms(75_000)


def test_fastify_has_a_default_of_its_own(tmp_path: Path) -> None:
    text = "import f from 'fastify';\nconst app = Fastify({ a: 1 });\nawait app.listen({ port: 8080 });\n"
    setting = idle(tree(tmp_path, {"Dockerfile": NODE, "server.js": text}))
    assert isinstance(setting, Default)
    assert (setting.value, setting.option) == (ms(72_000), "Fastify keepAliveTimeout")
    text = text.replace("a: 1", "a: 1, keepAliveTimeout: 5e3")
    assert value_of(idle(tree(tmp_path, {"Dockerfile": NODE, "server.js": text}))) == ms(5000)


def test_next_start(tmp_path: Path) -> None:
    files = {
        "Dockerfile": f'{IMAGE}CMD ["npm", "start"]\n',
        "package.json": PACKAGE % "next start -p 8080 --keepAliveTimeout 70000",
    }
    setting = idle(tree(tmp_path, files))
    assert value_of(setting) == ms(70_000)
    assert setting.origin.use is not None
    assert setting.origin.use.file.endswith("app/package.json")


def test_milliseconds_taken_for_seconds_are_kept_and_noted(tmp_path: Path) -> None:
    text = f"{EXPRESS}server.keepAliveTimeout = 65;\n"
    setting = idle(tree(tmp_path, {"Dockerfile": NODE, "server.js": text}))
    assert value_of(setting) == ms(65)
    assert setting.origin.note == "65 ms: the number counts milliseconds"


def test_zero_never_closes(tmp_path: Path) -> None:
    text = f"{EXPRESS}server.keepAliveTimeout = 0;\n"
    assert isinstance(idle(tree(tmp_path, {"Dockerfile": NODE, "server.js": text})), Unlimited)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"server.js": "console.log('a job');\n"}, "calls listen()"),
        ({"server.js": EXPRESS, "limits.js": "s.keepAliveTimeout = 1000;\nt.keepAliveTimeout = 2000;\n"},
         "several places set it"),
        ({"server.js": f"{EXPRESS}if (slow) server.keepAliveTimeout = 65000;\n"}, "line 5 decides"),
        ({"server.js": f"{EXPRESS}server.keepAliveTimeout = conf.idle;\n"}, "conf.idle is decided"),
        ({"server.js": EXPRESS, "x.js": "import f from 'fastify';\nf();\n"}, "with Fastify and without"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_unknown_with_its_reason(
    files: Mapping[str, str], reason: str, tmp_path: Path
) -> None:
    setting = idle(tree(tmp_path, {"Dockerfile": NODE, **files}))
    assert isinstance(setting, Unknown)
    assert reason in setting.reason


@pytest.mark.parametrize(
    ("start", "text", "graceful"),
    [
        ('["node", "server.js"]', "process.on('SIGTERM', () => server.close());\n", "on"),
        ('["node", "server.js"]', "process.once('SIGTERM', () => process.exit(0));\n", None),
        ('["npm", "start"]', "process.on('SIGTERM', () => server.close());\n", None),
        # Process 1 has no default action for the signal, so nothing ends.
        ('["node", "server.js"]', "", None),
        ('["tini", "--", "node", "server.js"]', "", "off"),
    ],
)
def test_what_sigterm_does(start: str, text: str, graceful: str | None, tmp_path: Path) -> None:
    hop = server(tree(tmp_path, {"Dockerfile": f"{IMAGE}CMD {start}\n", "server.js": EXPRESS + text}))
    assert hop.traits.get("graceful") == graceful
    assert (Role.SHUTDOWN_GRACE in hop.settings) == (graceful == "on")


@pytest.mark.parametrize("name", ["node_modules/x/a.js", "dist/a.js", "a.min.js", "a.test.ts", "public/a.js"])
def test_files_that_do_not_run_in_the_server_are_not_asked(name: str, tmp_path: Path) -> None:
    files = {"Dockerfile": NODE, "server.js": EXPRESS, name: "server.keepAliveTimeout = 1;\n"}
    assert value_of(idle(tree(tmp_path, files))) == ms(5000)


def test_package_beside_another_is_not_mixed_with_it(tmp_path: Path) -> None:
    files = {
        "Dockerfile": NODE,
        "server.js": EXPRESS,
        "admin/package.json": "{}",
        "admin/server.js": "server.keepAliveTimeout = 1;\n",
    }
    assert value_of(idle(tree(tmp_path, files))) == ms(5000)


def test_build_of_pages_is_no_server(tmp_path: Path) -> None:
    files = {"Dockerfile": NODE, "package.json": PACKAGE % "x", "server.js": "console.log(1);\n"}
    assert list(told(load_stack([written(tmp_path, files)]).stack.unjoined)) == [
        f"Dockerfile {tmp_path}/Dockerfile"
    ]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("node:22.11-alpine", "22.11"),
        ("public.ecr.aws/docker/library/node:20", "20"),
        ("node:lts", ""),
        ("registry/node:3.1", ""),
    ],
)
def test_version_is_that_of_an_official_image(image: str, version: str, tmp_path: Path) -> None:
    files = {"Dockerfile": NODE.replace("node:22-alpine", image), "server.js": EXPRESS}
    assert server(tree(tmp_path, files)).version == version


def test_behind_nginx_by_the_port_that_the_image_opens(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        {
            "nginx/Dockerfile": "FROM nginx:1.27\nCOPY app.conf /etc/nginx/conf.d/default.conf\n",
            "nginx/app.conf": "server { listen 80; location / { proxy_pass http://127.0.0.1:3000; } }\n",
            "app/Dockerfile": NODE.replace("CMD", "EXPOSE 3000\nCMD"),
            "app/package.json": "{}",
            "app/server.js": EXPRESS.replace("8080", "process.env.PORT"),
        },
    )
    (path,) = load_stack([root], in_front=["aws-alb:idle_timeout=60s"]).stack.paths
    assert [hop.product for hop in path.hops] == [Product.AWS_ALB, Product.NGINX, Product.NODEJS]


def test_package_json_that_is_no_json_is_told(tmp_path: Path) -> None:
    root = tree(tmp_path, {"Dockerfile": NODE, "package.json": "{{ name }}", "server.js": EXPRESS})
    loaded = load_stack([root])
    assert any("package.json was not used" in note.text for note in loaded.notes)
    (path,) = loaded.stack.paths
    assert isinstance(path.hops[-1].settings[Role.SERVER_IDLE], Unknown)


@pytest.mark.parametrize(
    ("files", "place", "changed"),
    [
        ({"server.js": EXPRESS}, "app/server.js:4:16", ["server.keepAliveTimeout = 90000;"]),
        (
            {"server.js": EXPRESS.replace("const server = ", "")},
            "app/server.js:4:1",
            ["app.listen(8080, () => log(1)).keepAliveTimeout = 90000;"],
        ),
        (
            {"server.js": f"{EXPRESS}server.keepAliveTimeout = 30 * 1000; // ms\n"},
            "app/server.js:5:1",
            ["server.keepAliveTimeout = 90000; // ms"],
        ),
        (
            {"server.js": EXPRESS.replace("app.listen", "createServer({ keepAliveTimeout: 5 }).listen")},
            "app/server.js:4:31",
            ["const server = createServer({ keepAliveTimeout: 90000 }).listen(8080, () => log(1));"],
        ),
        (
            {"Dockerfile": f'{IMAGE}CMD ["npm", "start"]\n', "package.json": PACKAGE % "next start -p 8080"},
            "app/package.json:3:15",
            ['    "start": "next start -p 8080 --keepAliveTimeout 90000"'],
        ),
    ],
    ids=["express", "express alone", "assigned", "option", "next"],
)  # fmt: skip
def test_finding_names_the_place_and_its_fix_reads_back_clean(
    files: Mapping[str, str],
    place: str,
    changed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "stack", {"Dockerfile": NODE, **files})
    assert run(["check", "stack"]) == 1
    out = capfd.readouterr().out
    assert "[backend-keepalive-below-lb-idle]" in out
    assert f"--> stack/{place}" in out
    assert run(["fix", "--write", "stack"]) == 0
    out = capfd.readouterr().out
    assert [line[1:] for line in out.splitlines() if line.startswith("+") and line[1] != "+"] == changed
    assert run(["check", "stack"]) == 0


@pytest.mark.parametrize(
    ("image", "files", "version"),
    [
        ("node:16.20-alpine", {".nvmrc": "14\n"}, "16.20"),
        ("registry/base:7", {".nvmrc": "v16.20.2\n"}, "16.20.2"),
        ("registry/base:7", {"package.json": '{"engines": {"node": "14.x"}, "main": "server.js"}'}, "14"),
        (
            "registry/base:7",
            {".nvmrc": "16", "package.json": '{"engines": {"node": "14.x"}, "main": "server.js"}'},
            "16",
        ),
        ("registry/base:7", {"package.json": '{"engines": {"node": ">=14"}, "main": "server.js"}'}, ""),
        ("node:lts-alpine", {}, ""),
    ],
)
def test_version_is_that_of_the_image_else_what_the_package_asks_for(
    image: str, files: Mapping[str, str], version: str, tmp_path: Path
) -> None:
    dockerfile = NODE.replace("node:22-alpine", image)
    hop = server(tree(tmp_path, {"Dockerfile": dockerfile, "server.js": EXPRESS, **files}))
    assert hop.version == version
    assert (hop.version_origin is not None) == bool(version)


def test_headers_timeout_of_an_old_release_is_judged(tmp_path: Path) -> None:
    source = EXPRESS + "server.keepAliveTimeout = 65 * 1000;\n"
    old = {"Dockerfile": NODE.replace("node:22", "node:16"), "server.js": source}
    root = tree(tmp_path / "old", old)
    hop = server(root)
    assert value_of(hop.settings[Role.SERVER_HEADER_READ]) == ms(60_000)
    assert isinstance(hop.settings[Role.SERVER_REQUEST_READ], Unlimited)
    assert "headers-timeout-below-keepalive" in {f.cause for f in check(load_stack([root]).stack).findings}
    cured = tree(tmp_path / "cured", old | {"server.js": source + "server.headersTimeout = 70_000;\n"})
    assert value_of(server(cured).settings[Role.SERVER_HEADER_READ]) == ms(70_000)
    new = tree(tmp_path / "new", {"Dockerfile": NODE, "server.js": source})
    for one in (cured, new):
        causes = {f.cause for f in check(load_stack([one]).stack).findings}
        assert "headers-timeout-below-keepalive" not in causes


def test_silence_of_a_server_is_judged(tmp_path: Path) -> None:
    source = EXPRESS + "server.timeout = 30000;\n"
    declared = '[[endpoint]]\npath = "/"\nlongest_silence = "45s"\n'
    root = tree(tmp_path, {"Dockerfile": NODE, "server.js": source})
    written(tmp_path, {"keepalign.toml": declared})
    found = {f.cause: f for f in check(load_stack([root]).stack).findings}
    finding = found["app-idle-timeout-during-request"]
    assert (finding.margin, finding.symptom.status) == (Duration.of(s=-15), "502")
