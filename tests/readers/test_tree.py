"""Which files are read: each once, under one name, and only what can be configuration."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from keepalign.errors import ReadError, UsageError
from keepalign.readers import _opened
from keepalign.readers._files import Bounds
from keepalign.readers.tree import read_tree, walk

CONF = "Listen 80\nKeepAliveTimeout 5\n"
DOCKERFILE = "FROM httpd:2.4\n"
BALANCER = 'resource "aws_lb" "this" {}\n'
NAMED = ["httpd.conf", "Dockerfile", "main.tf"]
"""Names that are configuration whatever stands in the file."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of every test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(files: Mapping[str, str]) -> None:
    """These files, below the working directory."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def denied(names: set[str]) -> Callable[..., Any]:
    """open() for a user who may not read these files; root may read everything."""
    real = builtins.open

    def refuse(file: str, *args: Any, **kwargs: Any) -> Any:  # Any: as open() itself
        if file in names:
            raise PermissionError(13, "Permission denied", file)
        return real(file, *args, **kwargs)

    return refuse


# Names


@pytest.mark.parametrize("root", [".", "./", "a/.."])
def test_root_that_is_the_working_directory_adds_nothing_to_names(root: str) -> None:
    make({"httpd.conf": CONF, "a/httpd.conf": CONF})
    assert walk([root]).files == ("httpd.conf", "a/httpd.conf")


def test_names_are_those_by_which_the_user_reaches_the_files(here: Path) -> None:
    make({"a/httpd.conf": CONF})
    assert walk(["a"]).files == ("a/httpd.conf",)
    assert walk([f"{here}/a"]).files == (f"{here}/a/httpd.conf",)
    os.chdir("a")
    assert walk([".."]).files == ("../a/httpd.conf",)


def test_files_come_sorted_before_the_folders_beside_them() -> None:
    make({"b/x.conf": "", "a/x.conf": "", "z.conf": "", "a/b/x.conf": ""})
    assert walk(["."]).files == ("z.conf", "a/x.conf", "a/b/x.conf", "b/x.conf")


@pytest.mark.parametrize(
    ("roots", "files"),
    [
        (["a", "a"], ["a/x.conf", "a/b/y.conf"]),
        (["a", "./a/"], ["a/x.conf", "a/b/y.conf"]),
        (["a", "a/b"], ["a/x.conf", "a/b/y.conf"]),
        (["a/b", "a"], ["a/b/y.conf", "a/x.conf"]),
        (["a", "{here}/a"], ["a/x.conf", "a/b/y.conf"]),
        (["{here}/a/b", "a"], ["{here}/a/b/y.conf", "a/x.conf"]),
        (["a/x.conf", "a"], ["a/x.conf", "a/b/y.conf"]),
        (["{here}/a/x.conf", "a"], ["{here}/a/x.conf", "a/b/y.conf"]),
        (["link", "a"], ["link/x.conf", "link/b/y.conf"]),
    ],
)
def test_roots_that_overlap_give_each_file_once(here: Path, roots: list[str], files: list[str]) -> None:
    make({"a/x.conf": CONF, "a/b/y.conf": CONF})
    Path("link").symlink_to("a")
    listed = walk([root.format(here=here) for root in roots])
    assert list(listed.files) == [file.format(here=here) for file in files]
    assert not listed.notes


def test_module_reached_by_two_names_is_no_root_module(here: Path) -> None:
    make({"live/main.tf": 'module "edge" {\n  source = "../edge"\n}\n', "edge/main.tf": BALANCER})
    for roots in (["."], ["live", "edge"], [f"{here}/live", "edge"], ["edge", f"{here}/live"]):
        fragments = read_tree(roots).aws
        assert [os.path.basename(fragment.file) for fragment in fragments] == ["live"], roots
        assert [lb.address for lb in fragments[0].load_balancers] == ["module.edge.aws_lb.this"]


@pytest.mark.parametrize(
    ("make_it", "said"),
    [(lambda: None, "no such file or folder"), (lambda: os.mkfifo("x"), "neither a file")],
)
def test_root_that_is_nothing_to_walk_is_refused(make_it: Callable[[], None], said: str) -> None:
    make_it()
    with pytest.raises(UsageError, match=f"x: {said}") as caught:
        walk(["x"])
    assert caught.value.hint


# Folders


def test_hidden_folders_are_walked_and_the_state_of_tools_is_not() -> None:
    make(
        {
            ".platform/httpd/httpd.conf": CONF,
            ".git/httpd.conf": CONF,
            ".terraform/modules/x/main.tf": BALANCER,
            "node_modules/x/Dockerfile": DOCKERFILE,
            "env/pyvenv.cfg": "",
            "env/lib/httpd.conf": CONF,
        }
    )
    assert walk(["."]).files == (".platform/httpd/httpd.conf",)
    assert walk([".git"]).files == (".git/httpd.conf",), "who names a folder means it"


def test_folder_that_cannot_be_read_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    make({"a/httpd.conf": CONF, "b/httpd.conf": CONF})
    real = os.scandir

    def refuse(path: str) -> Any:  # Any: as os.scandir itself
        if path == "a":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listed = walk(["."])
    assert listed.files == ("b/httpd.conf",)
    assert [note.text for note in listed.notes] == [
        "the folder a cannot be read: Permission denied; check its permissions"
    ]


def test_folder_with_the_name_of_a_file_is_a_folder() -> None:
    Path("httpd.conf").mkdir()
    Path("main.tf").mkdir()
    make({"httpd/Dockerfile": DOCKERFILE})
    assert not read_tree(["."]).apache
    make({"main.tf/other.tf": BALANCER})
    assert [fragment.file for fragment in read_tree(["."]).aws] == ["main.tf"]


# Links


def test_links_in_a_circle_end() -> None:
    make({"a/httpd.conf": CONF})
    Path("a/self").symlink_to(".")
    Path("a/up").symlink_to("..")
    Path("a/b").symlink_to("c")
    Path("a/c").symlink_to("b")
    tree = read_tree(["."])
    assert list(tree.sources) == ["a/httpd.conf"]
    assert not tree.notes


def test_link_to_a_file_counts_where_the_file_is_not_listed_itself() -> None:
    make({"shared/httpd.conf": CONF, "a/keep.me": ""})
    Path("a/httpd.conf").symlink_to("../shared/httpd.conf")
    Path("a/second.conf").symlink_to("../shared/httpd.conf")
    assert [f.file for f in read_tree(["."]).apache] == ["shared/httpd.conf"]
    Path(".git").mkdir()
    assert [f.file for f in read_tree(["a"]).apache] == ["a/httpd.conf"]


def test_link_to_a_folder_outside_is_noted(here: Path) -> None:
    make({"a/httpd.conf": CONF, "elsewhere/main.tf": BALANCER})
    Path("a/infra").symlink_to("../elsewhere")
    (note,) = read_tree(["a"]).notes
    assert f"give {here}/elsewhere as well" in note.text
    assert not read_tree(["a", "elsewhere"]).notes


def test_linked_files_of_a_module_are_read_as_terraform_reads_them() -> None:
    make({"shared/variables.tf": 'variable "idle" {\n  default = 75\n}\n'})
    make({"live/main.tf": 'resource "aws_lb" "this" {\n  idle_timeout = var.idle\n}\n'})
    Path("live/variables.tf").symlink_to("../shared/variables.tf")
    live = next(f for f in read_tree(["."]).aws if f.file == "live")
    assert str(getattr(live.load_balancers[0].idle_timeout, "value", None)) == "75 s"


@pytest.mark.parametrize("name", NAMED)
def test_link_that_leads_nowhere_is_told_when_it_is_named_like_configuration(name: str) -> None:
    make({"b/httpd.conf": CONF})
    Path("a").mkdir()
    Path(f"a/{name}").symlink_to("gone")
    assert [note.text for note in read_tree(["."]).notes] == [
        f"a/{name} was not used: it cannot be read: No such file or directory"
    ]
    with pytest.raises(ReadError, match="cannot be read: No such file") as caught:
        read_tree(["a"])
    assert caught.value.file == f"a/{name}"
    assert caught.value.hint == "the link leads to gone, which does not exist; restore it, or remove the link"


def test_link_out_of_the_tree_is_not_followed(here: Path) -> None:
    make({"a/httpd.conf": CONF, "b/Dockerfile": DOCKERFILE, "b/notes.txt": "x"})
    Path("a/Dockerfile").symlink_to("../b/Dockerfile")
    Path("a/notes.txt").symlink_to("../b/notes.txt")
    tree = read_tree(["a"])
    assert list(tree.sources) == ["a/httpd.conf"]
    out = "the link leads out of the tree, to"
    further = "give what it leads to as well if it belongs to what is checked"
    assert [note.text for note in tree.notes] == [
        f"a/Dockerfile was not used: it cannot be read: {out} {here}/b/Dockerfile",
        f"a/notes.txt was not looked at: {out} {here}/b/notes.txt; {further}",
    ]
    assert list(read_tree(["a/Dockerfile"]).sources) == ["a/Dockerfile"], "who names a link means it"
    assert sorted(read_tree(["a", "b"]).sources) == ["a/httpd.conf", "b/Dockerfile"]
    Path(".git").mkdir()
    assert sorted(read_tree(["a"]).sources) == ["a/Dockerfile", "a/httpd.conf"], "the repository is the tree"


def test_links_of_editors_are_passed_over() -> None:
    make({"main.tf": BALANCER})
    Path(".#main.tf").symlink_to("user@host.1")
    Path(".#httpd.conf").symlink_to("user@host.1")
    tree = read_tree(["."])
    assert list(tree.sources) == ["main.tf"]
    assert not tree.notes


@pytest.mark.parametrize(
    ("pattern", "folder", "walked"),
    [
        ("dist/", "dist", False),
        ("dist", "a/dist", False),
        ("/dist", "a/dist", True),
        ("/dist", "dist", False),
        ("a/dist/", "a/dist", False),
        ("a/dist/", "b/a/dist", True),
        ("**/dist", "b/a/dist", False),
        ("dist/**", "dist", False),
        ("build*", "build-linux", False),
        ("a/*/c", "a/b/c", False),
        ("a/*/c", "a/b/d/c", True),
        ("a/**/c", "a/b/d/c", False),
        ("dis?", "dist", False),
        ("[dx]ist", "dist", False),
        ("[!d]ist", "dist", True),
        ("dist\n!dist", "dist", True),
        ("*\n!*/", "dist", True),
        ("# dist", "dist", True),
        ("[", "dist", True),
        ("httpd.conf", "dist", True),
        ("cdk.out", "cdk.out", True),
    ],
)
def test_folders_that_git_ignores_are_passed_over(pattern: str, folder: str, walked: bool) -> None:
    make({".git/HEAD": "", ".gitignore": f"{pattern}\n", f"{folder}/httpd.conf": CONF})
    assert walk(["."]).files == (".gitignore", *([f"{folder}/httpd.conf"] if walked else []))
    assert walk([folder]).files == (f"{folder}/httpd.conf",), "who names a folder means it"


def test_gitignore_of_a_folder_counts_below_it_and_that_of_the_repository_above_the_root() -> None:
    make(
        {
            ".git/HEAD": "",
            ".gitignore": "dist/\nkept/\n",
            "a/.gitignore": "!kept\nout/\n",
            "a/kept/x.conf": "",
            "a/out/x.conf": "",
            "a/dist/x.conf": "",
            "b/out/x.conf": "",
            "b/kept/x.conf": "",
        }
    )
    assert walk(["."]).files == (".gitignore", "a/.gitignore", "a/kept/x.conf", "b/out/x.conf")
    assert walk(["a"]).files == ("a/.gitignore", "a/kept/x.conf")


def test_folder_that_git_tracks_is_walked_whatever_is_ignored() -> None:
    make({".gitignore": "hydra\n", "test/hydra/httpd.conf": CONF, "bin/hydra/httpd.conf": CONF})
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "--force", "test"], check=True)
    assert walk(["."]).files == (".gitignore", "test/hydra/httpd.conf")


def test_gitignore_outside_of_a_repository_counts_for_nothing() -> None:
    make({".gitignore": "dist\n", "dist/httpd.conf": CONF})
    assert walk(["."]).files == (".gitignore", "dist/httpd.conf")


# What is no plain text


@pytest.mark.timeout(10)
def test_pipes_sockets_and_devices_are_never_opened_for_good() -> None:
    make({"httpd.conf": CONF})
    os.mkfifo("pipe")
    os.mkfifo("notes.conf")
    Path("zero.conf").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("app.sock")
        tree = read_tree(["."])
    assert list(tree.sources) == ["httpd.conf"]
    assert not tree.notes


@pytest.mark.timeout(10)
@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", NAMED)
def test_pipe_with_the_name_of_configuration_is_an_error_where_nothing_else_is(name: str) -> None:
    os.mkfifo(name)
    with pytest.raises(ReadError, match=f"{name}: cannot be read: it is no regular file"):
        read_tree(["."])
    make({"a/httpd.conf": CONF})
    assert [note.text for note in read_tree(["."]).notes] == [
        f"{name} was not used: it cannot be read: it is no regular file"
    ]


@pytest.mark.parametrize("name", NAMED)
def test_binary_with_the_name_of_configuration_is_an_error_where_it_is_needed(name: str) -> None:
    make({"a/httpd.conf": CONF})
    Path(name).write_bytes(b"\x7fELF\0\0\1")
    tree = read_tree(["."])
    assert [fragment.file for fragment in tree.apache] == ["a/httpd.conf"]
    assert [note.text for note in tree.notes] == [f"{name} was not used: it is no text: it holds zero bytes"]
    Path("a/httpd.conf").unlink()
    with pytest.raises(ReadError, match=f"{name}: is no text") as caught:
        read_tree(["."])
    assert "rename it" in caught.value.hint


def test_binary_with_our_own_name_is_an_error() -> None:
    make({"a/httpd.conf": CONF})
    Path("keepalign.toml").write_bytes(b"\x7fELF\0\0\1")
    with pytest.raises(ReadError, match=r"keepalign\.toml: is no text"):
        read_tree(["."])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("httpd.conf", "<VirtualHost *:80>\n"),
        ("nginx.conf", "http {\n"),
        ("site.conf", "server {\n  listen 80;\n  proxy_pass http://a;\n"),
        ("haproxy.cfg", "timeout client 5s\n"),
        ("caddy.json", '{"apps": {"http": {"servers": {'),
        ("Dockerfile.j2", "{% if slim %}\nFROM python\n{% endif %}\n"),
        ("main.tf", "{{ cookiecutter.name }}\n"),
        ("terraform.tfvars", "= 1\n"),
        ("plan.json", '{"format_version":"1.2","terraform_version":"1.9.0"'),
        ("compose.yaml", "services:\n{% for one in all %}\n  {{ one }}: {}\n{% endfor %}\n"),
        ("task-definition.json", '{"family": "a", "containerDefinitions": ['),
    ],
)
def test_template_or_broken_copy_does_not_keep_the_rest_from_being_read(name: str, text: str) -> None:
    make({"a/httpd.conf": CONF, f"b/{name}": text})
    if name.endswith(".tfvars"):
        make({"b/main.tf": BALANCER})
    tree = read_tree(["."])
    assert [fragment.file for fragment in tree.apache] == ["a/httpd.conf"]
    (note,) = tree.notes
    assert note.text.startswith(f"b/{name} was not used: ")
    if not name.endswith(".tfvars"):
        with pytest.raises(ReadError):
            read_tree([f"b/{name}", "a"])


def test_what_an_edit_broke_is_no_note() -> None:
    make({"httpd.conf": CONF, "main.tf": BALANCER})
    with pytest.raises(ReadError, match="is never closed"):
        read_tree(["."], overlay={"httpd.conf": b"<VirtualHost *:80>\n"})


def test_module_that_cannot_be_read_is_noted_once() -> None:
    call = 'module "edge" {\n  source = "../edge"\n}\n'
    make(
        {"live/main.tf": call, "test/main.tf": call, "edge/main.tf": "resource {", "other/main.tf": BALANCER}
    )
    tree = read_tree(["."])
    assert [fragment.file for fragment in tree.aws] == ["other"]
    (note,) = tree.notes
    assert note.text.startswith("edge/main.tf was not used: ")


def test_binary_of_another_name_is_nothing() -> None:
    Path("image.png").write_bytes(b"\x89PNG\0\0")
    Path("data.conf").write_bytes(b"\0" * 5000)
    Path("entry.sh").write_bytes(b"\0" * 5000)
    assert not read_tree(["."]).sources


def test_file_above_two_mebibytes_is_an_error_only_where_it_is_needed() -> None:
    make({"main.tf": BALANCER})
    Path("big.json").write_bytes(b" " * (2 * 1024 * 1024 + 1))
    assert list(read_tree(["."]).sources) == ["main.tf"]
    Path("httpd.conf").write_bytes(b"#" * (2 * 1024 * 1024) + b"\n")
    assert [note.text for note in read_tree(["."]).notes] == [
        "httpd.conf was not used: it is larger than 2 MiB"
    ]
    Path("main.tf").unlink()
    with pytest.raises(ReadError, match=r"httpd\.conf: is larger than 2 MiB"):
        read_tree(["."])


def test_file_that_may_not_be_read_is_an_error_or_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    make({"httpd.conf": CONF, "other.conf": "nginx", "secret.pem": "x"})
    monkeypatch.setattr(_opened, "open", denied({"other.conf", "secret.pem"}), raising=False)
    tree = read_tree(["."])
    assert [note.text for note in tree.notes] == [
        "other.conf was not looked at: Permission denied; check the path and its permissions",
        "secret.pem was not looked at: Permission denied; check the path and its permissions",
    ]
    monkeypatch.setattr(_opened, "open", denied({"httpd.conf"}), raising=False)
    with pytest.raises(ReadError, match=r"httpd\.conf: cannot be read: Permission denied") as caught:
        read_tree(["."])
    assert caught.value.hint == "check the path and its permissions"


def test_file_whose_name_is_no_utf_8_is_noted() -> None:
    with open(b"caf\xe9.conf", "w") as file:
        file.write(CONF)
    listed = walk(["."])
    assert not listed.files
    assert [note.text for note in listed.notes] == ["caf?.conf was not looked at: its name is not UTF-8"]


def test_heads_of_files_that_are_not_read_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    make({"httpd.conf": CONF, "notes.md": "x" * 100_000})
    asked: list[tuple[str, int]] = []
    real = _opened._bytes

    def count(file: str, limit: int, bounds: Bounds) -> bytes:
        asked.append((file, limit))
        return real(file, limit, bounds)

    monkeypatch.setattr(_opened, "_bytes", count)
    tree = read_tree(["."])
    assert list(tree.sources) == ["httpd.conf"]
    assert asked == [("httpd.conf", 4096), ("notes.md", 4096), ("httpd.conf", 2 * 1024 * 1024 + 1)]


# Overlay


def test_overlay_stands_for_what_is_on_disk() -> None:
    make({"httpd.conf": CONF, "main.tf": BALANCER})
    overlay = {"httpd.conf": b"Listen 81\n", "main.tf": b'resource "aws_lb" "other" {}\n'}
    tree = read_tree(["."], overlay=overlay)
    assert tree.apache[0].listens == (81,)
    assert tree.aws[0].load_balancers[0].address == "aws_lb.other"
    assert {name: source.data for name, source in tree.sources.items()} == overlay


# Apache's includes


def test_included_files_are_read_once_and_are_no_configuration_of_their_own() -> None:
    make(
        {
            "httpd/conf/httpd.conf": "ServerRoot /usr/local/apache2\nListen 80\nInclude conf/extra/*.conf\n",
            "httpd/conf/extra/a.conf": "KeepAliveTimeout 9\n",
            "httpd/conf/extra/b.conf": "ServerName x\n",
            "httpd/conf/extra/deep/c.conf": "KeepAliveTimeout 7\n",
        }
    )
    tree = read_tree(["."])
    mains = [fragment.file for fragment in tree.apache]
    assert mains == ["httpd/conf/httpd.conf", "httpd/conf/extra/deep/c.conf"]
    assert str(getattr(tree.apache[0].hosts[0].keep_alive_timeout, "value", None)) == "9 s"


def test_includes_of_a_single_file_are_looked_for_beside_it() -> None:
    make(
        {"conf/httpd.conf": "Listen 80\nInclude conf/extra.conf\n", "conf/extra.conf": "KeepAliveTimeout 9\n"}
    )
    tree = read_tree(["conf/httpd.conf"])
    assert list(tree.sources) == ["conf/httpd.conf", "conf/extra.conf"]


def test_piece_that_only_its_main_file_completes_is_not_read_alone() -> None:
    make(
        {
            "conf/a.conf": "Include conf/parts/b.conf\nListen 81\n",
            "conf/httpd.conf": "Listen 80\nInclude conf/a.conf\n",
            "conf/parts/b.conf": "KeepAliveTimeout 9\n",
        }
    )
    assert [fragment.file for fragment in read_tree(["."]).apache] == ["conf/httpd.conf"]


# Everything together


def test_each_kind_of_file_goes_to_its_reader() -> None:
    make(
        {
            "infra/main.tf": BALANCER,
            "infra/vars.json": "{}",
            "httpd/httpd.conf": CONF,
            "httpd/Dockerfile.web": DOCKERFILE,
            "app/run.sh": "#!/bin/sh\nexec gunicorn a:a\n",
            "app/requirements.txt": "gunicorn==27.0.1\n",
            "app/main.py": "print()\n",
            "keepalign.toml": '[containers]\nx = "app"\n',
            "json/main.tf": "",
        }
    )
    Path("json/x.tf.json").write_text("{}")
    tree = read_tree(["."])
    assert [f.file for f in tree.aws] == ["infra", "json"]
    assert [f.file for f in tree.apache] == ["httpd/httpd.conf"]
    assert [f.file for f in tree.dockerfiles] == ["httpd/Dockerfile.web"]
    assert [f.file for f in tree.scripts] == ["app/run.sh"]
    assert [f.file for f in tree.requirements] == ["app/requirements.txt"]
    assert [f.file for f in tree.declared] == ["keepalign.toml"]
    assert "json/x.tf.json" in tree.sources
    assert "app/main.py" not in tree.sources
    assert "infra/vars.json" not in tree.sources


def test_folder_with_json_syntax_alone_is_a_root_module() -> None:
    Path("main.tf.json").write_text('{"resource": {"aws_lb": {"edge": {"name": "edge"}}}}')
    tree = read_tree(["."])
    assert not tree.notes
    assert [one.name for module in tree.aws for one in module.load_balancers] == ["edge"]


def test_stacks_of_containers_and_processes_go_to_their_readers() -> None:
    make(
        {
            "docker-compose.yml": "services: {web: {image: x, env_file: .env, environment: {A: '${B}'}}}",
            "docker-compose.override.yml": "services: {web: {command: gunicorn a:a}}",
            ".env": "B=hidden\nTOKEN=hidden\n",
            "Procfile": "web: gunicorn a:a\n",
            "app.json": '{"env": {"WEB_CONCURRENCY": "2"}}',
            "ops/supervisord.conf": "[supervisord]\n[program:web]\ncommand=gunicorn -c conf/server.py a:a\n",
            "conf/server.py": "timeout = 5\n",
            ".aws/task-definition.json": '{"family": "shop", "containerDefinitions": [{"name": "web"}]}',
            "broken/compose.yml": "services: [",
            "broken/taskdef.json": '{"containerDefinitions": [',
        }
    )
    tree = read_tree(["."])
    (project,) = tree.compose
    assert (project.file, project.files) == (
        "docker-compose.yml",
        ("docker-compose.yml", "docker-compose.override.yml"),
    )
    hidden = {"A": "hidden", "B": "hidden", "TOKEN": "hidden"}
    assert dict(project.services[0].container.environment) == hidden
    assert ".env" not in tree.sources
    assert [dict(one.environment) for one in tree.procfiles] == [{"WEB_CONCURRENCY": "2"}]
    assert [one.file for one in tree.supervisors] == ["ops/supervisord.conf"]
    assert tree.server_confs == ("conf/server.py",)
    assert [task.family for one in tree.aws for task in one.task_definitions] == ["shop"]
    assert sorted(note.text.partition(":")[0] for note in tree.notes) == [
        "broken/compose.yml was not used",
        "broken/taskdef.json was not used",
    ]
