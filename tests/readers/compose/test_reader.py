"""Compose projects: merging, inheritance, environments, and what a service says as a container."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Edit, Site, SourceText, edited
from keepalign.readers._aws import Container
from keepalign.readers._reader import Absent, CommandStyle
from keepalign.readers.compose import ComposeFragment, ComposeReader, projects

READER = ComposeReader()


def read(text: str, file: str = "shop/docker-compose.yml", **more: str) -> ComposeFragment:
    """A project; `more` are further files of its folder, with "_dot_" for a dot."""
    held = {f"shop/{name.replace('_dot_', '.')}": content for name, content in more.items()}

    def lookup(path: str) -> SourceText | None:
        return SourceText(path, held[path].encode()) if path in held else None

    return READER.read_project([SourceText(file, text.encode())], lookup, lookup)


def over(*texts: str) -> ComposeFragment:
    """Files merged in this order."""
    return READER.read_project([SourceText(f"c{n}.yml", text.encode()) for n, text in enumerate(texts)])


def container(fragment: ComposeFragment, name: str = "web") -> Container:
    (found,) = (one.container for one in fragment.services if one.container.name == name)
    return found


def words(found: Container) -> list[str | None]:
    assert found.command is not None
    return [word.text for word in found.command.words]


# Which files


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("compose.yaml", True),
        ("compose.yml", True),
        ("deploy/docker-compose.yml", True),
        ("docker-compose.prod.yml", True),
        ("docker-compose-local.yaml", True),
        ("docker-compose_test.yml", True),
        ("production-docker-compose.yml", True),
        ("compose.override.yaml", True),
        ("values.yaml", False),
        ("composer.yml", False),
        ("docker-compose.yml.j2", False),
        ("docker-compose.md", False),
    ],
)
def test_files_are_known_by_their_names(name: str, known: bool) -> None:
    assert READER.recognise(name, b"") is known


def test_override_file_is_merged_and_others_stand_alone() -> None:
    files = ["docker-compose.override.yml", "docker-compose.prod.yml", "docker-compose.yml", "x/compose.yaml"]
    assert projects(files, lambda file: False) == [
        ("docker-compose.yml", "docker-compose.override.yml"),
        ("docker-compose.prod.yml",),
        ("x/compose.yaml",),
    ]


def test_file_that_cannot_run_alone_is_read_over_the_default_one() -> None:
    files = ["docker-compose.prod.yml", "docker-compose.yml"]
    assert projects(files, lambda file: "prod" in file) == [
        ("docker-compose.yml",),
        ("docker-compose.yml", "docker-compose.prod.yml"),
    ]
    partial = SourceText("p.yml", b"services:\n  web:\n    restart: always\n")
    assert READER.is_partial(partial)
    assert not READER.is_partial(SourceText("p.yml", b"services: {web: {image: nginx}}"))


def test_first_default_name_wins_as_compose_looks_for_it() -> None:
    files = ["docker-compose.yml", "compose.yaml"]
    assert projects(files, lambda file: False)[0] == ("compose.yaml",)


# A service


def test_service_of_the_usual_kind_is_a_container() -> None:
    fragment = read(
        """
        version: "3.8"
        services:
          web:
            build: .
            container_name: shop_web
            command: gunicorn --bind 0.0.0.0:8000 --timeout 300 shop.wsgi:application
            ports:
              - "8001:8000"
            expose: [9000]
            depends_on:
              db: {condition: service_healthy}
            networks: {back: {aliases: [backend]}}
            stop_signal: SIGINT
            working_dir: /srv
          db:
            image: postgres:15
        """
    )
    web = container(fragment)
    assert (web.build, web.image, web.ports, web.depends_on) == ("shop", None, (8000, 9000), ("db",))
    assert (web.aliases, web.stop_signal, web.workdir) == (("shop_web", "backend"), "SIGINT", "/srv")
    assert words(web)[:3] == ["gunicorn", "--bind", "0.0.0.0:8000"]
    assert [one.publishes for one in fragment.services] == [True, False]
    assert (web.place.line, web.loopback) == (4, "service web")


@pytest.mark.parametrize(
    ("build", "path", "target"),
    [
        ("./api", "shop/api", ""),
        ("{context: ./api}", "shop/api", ""),
        ("{context: ., dockerfile: docker/web/Dockerfile}", "shop/docker/web/Dockerfile", ""),
        ("{context: .., dockerfile: Dockerfile.prod, target: run}", "Dockerfile.prod", "run"),
        ("{dockerfile: Dockerfile.prod}", "shop/Dockerfile.prod", ""),
        ("https://github.com/x/y.git", "*", ""),
        ("{context: ., dockerfile_inline: FROM x}", "*", ""),
        ("$WHERE", "*", ""),
    ],
)
def test_build_names_the_folder_or_the_dockerfile(build: str, path: str, target: str) -> None:
    web = container(read(f"services: {{web: {{build: {build}}}}}"))
    assert (web.build, web.target) == (path, target)


@pytest.mark.parametrize(
    ("port", "found"),
    [
        ('"80"', (80,)),
        ('"8080:80"', (80,)),
        ('"127.0.0.1:8080:80"', (80,)),
        ('"[::1]:8080:80/tcp"', (80,)),
        ('"${PORT}:80"', (80,)),
        ('"${PORT:-80}:${INNER:-8000}"', (8000,)),
        ('"3000-3002:3000-3002"', (3000, 3001, 3002)),
        ('"53:53/udp"', ()),
        ("{target: 80, published: 8080}", (80,)),
        ('"80:${INNER}"', ()),
    ],
)
def test_port_is_that_of_the_container(port: str, found: tuple[int, ...]) -> None:
    assert container(read(f"services: {{web: {{image: x, ports: [{port}]}}}}")).ports == found


def test_mounts_of_the_tree_have_their_places() -> None:
    fragment = read(
        """
        services:
          web:
            image: nginx:1.27-alpine
            volumes:
              - ./nginx/nginx.conf:/etc/nginx/nginx.conf:ro
              - type: bind
                source: ../conf.d
                target: /etc/nginx/conf.d
              - static:/static
              - /etc/letsencrypt:/etc/letsencrypt:ro
              - type: volume
                source: data
                target: /data
            configs:
              - source: proxy
                target: /etc/nginx/proxy.conf
              - short
        configs:
          proxy: {file: ./proxy.conf}
          short: {file: ./short.conf}
          far: {external: true}
        """
    )
    assert container(fragment).mounts == (
        ("shop/nginx/nginx.conf", "/etc/nginx/nginx.conf"),
        ("conf.d", "/etc/nginx/conf.d"),
        ("shop/proxy.conf", "/etc/nginx/proxy.conf"),
        ("shop/short.conf", "/short"),
    )


@pytest.mark.parametrize(
    ("command", "style", "given"),
    [
        ("gunicorn app:app", CommandStyle.SHELL, ["gunicorn", "app:app"]),
        ('["gunicorn", "app:app"]', CommandStyle.LIST, ["gunicorn", "app:app"]),
        ("[gunicorn, $$PORT]", CommandStyle.LIST, ["gunicorn", "$PORT"]),
        ("\n      - gunicorn\n      - app:app", CommandStyle.ROWS, ["gunicorn", "app:app"]),
        ("python manage.py migrate && gunicorn", CommandStyle.SHELL, ["python", "manage.py", "migrate"]),
    ],
)
def test_command_in_each_form(command: str, style: CommandStyle, given: list[str]) -> None:
    web = container(read(f"services:\n  web:\n    image: x\n    command: {command}\n"))
    assert web.command is not None
    assert (web.command.style, words(web)) == (style, given)


def test_further_item_of_a_block_list_goes_to_a_line_of_its_own() -> None:
    text = "services:\n  web:\n    image: x\n    command:\n      - gunicorn\n      - app\n    tty: true\n"
    source = SourceText("c.yml", text.replace("\n", "\r\n").encode())
    command = container(READER.read(source)).command
    assert command is not None
    assert command.append_at is not None
    new = edited(source.data, [Edit(command.append_at, f"{command.lead}--reload")])
    assert b"      - app\r\n      - --reload\r\n    tty" in new


def test_null_and_empty_commands_are_the_images_own_or_none() -> None:
    assert container(read("services: {web: {image: x, command: }}")).command is None
    empty = container(read("services: {web: {image: x, command: []}}")).command
    assert empty is not None
    assert not empty.words


# Stop grace


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("1m30s", 90), ("'2m'", 120), ("${GRACE:-45s}", 45), ("0s", 0), ("1500ms", 1.5)],
)
def test_stop_grace_period_is_read_and_can_be_written(written: str, seconds: float) -> None:
    source = SourceText(
        "c.yml", f"services:\n  web:\n    image: x\n    stop_grace_period: {written}\n".encode()
    )
    read = container(READER.read(source)).stop_timeout
    assert isinstance(read, Explicit)
    assert read.value.seconds == seconds
    again = container(READER.read(written_to(source, read.site, 75))).stop_timeout
    assert isinstance(again, Explicit)
    assert again.value.seconds == 75


def written_to(source: SourceText, site: Site | None, value: int) -> SourceText:
    assert site is not None
    edit = Edit(site.span, site.template.replace("{value}", str(value)))
    return SourceText(source.file, edited(source.data, [edit]))


@pytest.mark.parametrize("style", ["services:\n  web:\n    image: x\n", 'services: {"web": {"image": "x"}}'])
def test_stop_grace_period_that_nobody_wrote_has_a_place(style: str) -> None:
    source = SourceText("c.yml", style.encode())
    read = container(READER.read(source)).stop_timeout
    assert isinstance(read, Absent)
    again = container(READER.read(written_to(source, read.site, 75))).stop_timeout
    assert isinstance(again, Explicit)
    assert again.value.seconds == 75


@pytest.mark.parametrize("written", ["30", "soon", "$GRACE", "[1]"])
def test_stop_grace_period_that_is_no_duration_is_not_guessed(written: str) -> None:
    read_ = container(read(f"services: {{web: {{image: x, stop_grace_period: {written}}}}}")).stop_timeout
    assert isinstance(read_, Unknown | Absent)
    assert isinstance(read_, Absent) == (written == "[1]")


# Environment


def test_environment_wins_over_env_files_of_which_the_last_wins() -> None:
    fragment = read(
        """
        services:
          web:
            image: x
            env_file: [base.env, {path: prod.env, required: false}]
            environment: {C: 3, FROM_DOTENV: , GONE: , YES: true}
        """,
        base_dot_env="A=1\nB=1\nC=1\n",
        prod_dot_env="B=2\nC=2\n",
        _dot_env="FROM_DOTENV=5\n",
    )
    assert container(fragment).environment == {
        "A": "1", "B": "2", "C": "3", "FROM_DOTENV": "5", "GONE": None, "YES": "true",
    }  # fmt: skip
    assert not fragment.notes


def test_list_of_variables_is_the_same_as_a_mapping() -> None:
    fragment = read(
        "services: {web: {image: x, environment: ['A=1=2', B=, C, 'D=${NO}', 'E=${NO:-e}']}}",
        _dot_env="C=c\n",
    )
    assert container(fragment).environment == {"A": "1=2", "B": "", "C": "c", "D": None, "E": "e"}


def test_environment_file_that_is_not_there_is_noted_without_a_value() -> None:
    fragment = read("services: {web: {image: x, env_file: secret.env, environment: {KEY: hunter2}}}")
    (note,) = fragment.notes
    assert note.text.startswith("what shop/secret.env sets is not known")
    assert "hunter2" not in note.text


# Several files


def test_override_replaces_scalars_and_commands_and_adds_to_the_rest() -> None:
    fragment = over(
        """
        services:
          web:
            image: app:1
            command: [gunicorn, app]
            environment: {A: 1, B: 1}
            ports: ["80:80"]
            volumes: ["./a:/etc/a", "./b:/etc/b"]
            stop_grace_period: 10s
        """,
        """
        services:
          web:
            command: gunicorn app --reload
            environment: [B=2]
            ports: ["443:443"]
            volumes: ["./c:/etc/b"]
          cache: {image: redis}
        """,
    )
    web = container(fragment)
    assert words(web) == ["gunicorn", "app", "--reload"]
    assert (web.image, web.environment, web.ports) == ("app:1", {"A": "1", "B": "2"}, (80, 443))
    assert web.mounts == (("a", "/etc/a"), ("c", "/etc/b"))
    assert [one.container.name for one in fragment.services] == ["web", "cache"]
    assert web.place.file == "c1.yml"
    assert isinstance(web.stop_timeout, Explicit)


def test_reset_and_override_tags_take_what_is_below_away() -> None:
    below = "services: {web: {image: x, ports: ['80:80'], command: a, environment: {A: 1}}}"
    above = "services: {web: {ports: !override ['81:81'], command: !reset null, environment: {B: 2}}}"
    web = container(over(below, above))
    assert (web.ports, web.command, web.environment) == ((81,), None, {"A": "1", "B": "2"})


def test_anchors_and_merge_keys_are_followed() -> None:
    fragment = read(
        """
        x-app: &app
          image: app:${TAG:-1}
          environment: &env {A: 1}
        services:
          web:
            <<: *app
            command: gunicorn app
            environment: {<<: *env, B: 2}
        """
    )
    web = container(fragment)
    assert (web.image, web.environment, words(web)) == ("app:1", {"A": "1", "B": "2"}, ["gunicorn", "app"])


def test_extends_puts_a_service_on_top_of_another() -> None:
    fragment = read(
        """
        services:
          base: {image: app, environment: {A: 1}}
          mid: {extends: {service: base}, environment: {B: 2}}
          web: {extends: mid, command: gunicorn app}
          far: {extends: {file: common_dot_yml, service: app}}
        """.replace("common_dot_yml", "common.yml"),
        common_dot_yml="services: {app: {build: ./app}}",
    )
    assert container(fragment).environment == {"A": "1", "B": "2"}
    assert container(fragment).image == "app"
    assert container(fragment, "far").build == "shop/app"
    assert fragment.files == ("shop/docker-compose.yml", "shop/common.yml")


def test_extends_in_a_ring_and_of_nobody_ends() -> None:
    fragment = read("services: {web: {extends: {service: b}}, b: {extends: web}, c: {extends: {service: d}}}")
    assert [one.container.name for one in fragment.services] == ["web", "b", "c"]


def test_included_services_belong_to_the_project() -> None:
    fragment = read(
        "include: [{path: [more.yml]}, gone.yml]\nservices: {web: {image: x}}",
        more_dot_yml="services: {db: {image: postgres}}",
    )
    assert {one.container.name for one in fragment.services} == {"web", "db"}
    assert [note.text for note in fragment.notes] == [
        "shop/gone.yml, which is included, is not in the given folders"
    ]


def test_services_of_the_oldest_format_stand_at_the_top_level() -> None:
    fragment = read("web:\n  build: .\n  ports: ['80:8000']\ndb:\n  image: postgres\n")
    assert [one.container.name for one in fragment.services] == ["web", "db"]
    assert not read("a:\n  b: 1\n").services


@pytest.mark.parametrize("mode", ["service:app", "host", "none"])
def test_network_mode_says_who_shares_a_loopback(mode: str) -> None:
    web = container(read(f"services: {{web: {{image: x, network_mode: '{mode}'}}}}"))
    assert web.loopback == {"service:app": "service app", "host": "the host"}.get(mode, "service web")


# Bad input


@pytest.mark.parametrize(
    "text", ["services: [", "{% if x %}\nservices:\n", "services:\n\tweb: 1\n", "a: b: c", "\xff"]
)
def test_what_is_no_yaml_is_an_error_with_a_place(text: str) -> None:
    with pytest.raises(ReadError) as caught:
        READER.read(SourceText("c.yml", text.encode("latin-1")))
    assert caught.value.line is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "services:", "services: 1", "services: []", "services: {web: }", "services: {web: 1}",
        "services: {web: {ports: 80, volumes: x, environment: 1, command: {a: b}, build: [x]}}",
        "services: {web: {ports: {a: 1}, depends_on: 1, env_file: {x: y}, configs: [1, {source: }]}}",
        "\ufeffservices:\r\n  web:\r\n    image: x\r\n",
    ],
)  # fmt: skip
def test_yaml_that_is_no_compose_file_is_read_all_the_same(text: str) -> None:
    assert len(read(text).services) <= 1


KEYS = st.sampled_from([
    "services", "web", "image", "build", "command", "environment", "ports", "volumes", "extends", "include",
    "env_file", "configs", "<<", "stop_grace_period", "context", "service", "file", "source", "target",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["${A:-1}", "./x:/y", "A=$B", "30s", "$$", "web", "80:80"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_mapping_is_a_project(web: Mapping[str, object], db: Mapping[str, object]) -> None:
    import json

    text = json.dumps({"services": {"web": web, "db": db}, "include": web.get("include")})
    assert {one.container.name for one in read(text).services} <= {"web", "db"}


@given(st.binary(max_size=120))
def test_any_bytes_are_a_project_or_an_error(data: bytes) -> None:
    try:
        found = READER.read(SourceText("c.yml", data))
    except ReadError:
        return
    assert found.file == "c.yml"
