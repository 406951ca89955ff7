"""From roots to a stack: declarations, declared balancers, reading again with edits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.join.trees import CONF, GUNICORN, alb, whole_service, written

from keepalign.errors import NothingToRead, UsageError
from keepalign.fix.edit import overlay
from keepalign.join import Loaded, load_stack
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.source import Edit, OriginKind, Site
from keepalign.model.timers import Role
from keepalign.units import Duration

BROKEN = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"
ENDPOINT = '[[endpoint]]\npath = "{}"\nlongest_request = "{}"\n'


# Edits


def all_settings(loaded: Loaded) -> list[Setting]:
    found: dict[Setting, None] = {}
    for path in loaded.stack.paths:
        found |= dict.fromkeys(setting for hop in path.hops for setting in hop.settings.values())
        assert path.lifecycle is not None
        found[path.lifecycle.deregistration_delay] = None
        found |= dict.fromkeys(stop.stop_timeout for stop in path.lifecycle.stops)
    return list(found)


def edits_at(site: Site, value: int) -> list[Edit]:
    parts = (site, *site.also)
    return [Edit(part.span, part.template.replace("{value}", str(value))) for part in parts]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "stack"
    shutil.copytree(BROKEN, folder)
    return folder


@settings(max_examples=25)
@given(data=st.data())
def test_tree_read_with_an_overlay_is_the_tree_read_after_writing(story: Path, data: st.DataObject) -> None:
    loaded = load_stack([str(story)])
    sites = list(dict.fromkeys(setting.site for setting in all_settings(loaded) if setting.site is not None))
    assert len(sites) > 10
    chosen = data.draw(st.lists(st.sampled_from(sites), unique=True, max_size=4))
    edits: list[Edit] = []
    for site in chosen:
        # One literal may be the place of several settings; then the first value counts.
        wanted = edits_at(site, data.draw(st.integers(1, 500)))
        taken = {edit.span for edit in edits}
        edits += [edit for edit in wanted if edit.span not in taken or edit.span.start == edit.span.end]
    changed = overlay(edits, loaded.sources)
    foreseen = loaded.reread(changed)
    try:
        for file, new in changed.items():
            Path(file).write_bytes(new)
        after = load_stack([str(story)])
    finally:
        for file in changed:
            Path(file).write_bytes(loaded.sources[file].data)
    assert after.stack == foreseen.stack
    assert after.targets == foreseen.targets
    assert after.notes == foreseen.notes
    assert {file: s.data for file, s in after.sources.items()} == {
        file: s.data for file, s in foreseen.sources.items()
    }


def test_names_of_paths_and_targets_do_not_depend_on_values(story: Path) -> None:
    loaded = load_stack([str(story)])
    conf = f"{story}/httpd/httpd.conf"
    changed = {conf: loaded.sources[conf].data.replace(b"KeepAliveTimeout 5", b"KeepAliveTimeout 500")}
    again = loaded.reread(changed)
    assert [path.name for path in again.stack.paths] == [path.name for path in loaded.stack.paths]
    assert [target.name for target in again.targets] == [target.name for target in loaded.targets]
    assert again.stack != loaded.stack


def test_every_file_that_a_span_names_is_a_source(story: Path) -> None:
    loaded = load_stack([str(story)])
    for setting in all_settings(loaded):
        spans = [step.span for step in setting.origin.steps]
        spans += [setting.site.span] if setting.site is not None else []
        assert all(span.file in loaded.sources for span in spans), setting
    assert {hop.version for path in loaded.stack.paths for hop in path.hops} == {"", "2.4", "27.0.1"}


# What is declared


def test_endpoints_of_the_command_line_stand_for_those_that_no_file_names(tmp_path: Path) -> None:
    toml = ENDPOINT.format("/", "9s") + ENDPOINT.format("/slow", "70s")
    root = written(tmp_path, {"httpd.conf": CONF, "keepalign.toml": toml})
    workload = load_stack([root], longest_silence=Duration.of(s=3)).workload
    assert {e.path: (e.longest_silence, e.longest_request) for e in workload.endpoints} == {
        "/slow": (None, Duration.of(s=70)),
        "/": (Duration.of(s=3), Duration.of(s=3)),
    }
    assert workload.endpoints[-1].origin.kind is OriginKind.COMMAND_LINE
    assert workload.endpoints[-1].origin.note == "--longest-silence 3 s"


def test_silence_above_the_whole_request_is_refused(tmp_path: Path) -> None:
    root = written(tmp_path, {"httpd.conf": CONF})
    with pytest.raises(UsageError, match="at least as long as its longest silence") as caught:
        load_stack([root], longest_request=Duration.of(s=2), longest_silence=Duration.of(s=3))
    assert caught.value.hint


def test_each_service_is_judged_by_the_declarations_nearest_to_it(tmp_path: Path) -> None:
    files = {"keepalign.toml": ENDPOINT.format("/", "1s") + ENDPOINT.format("/both", "2s")}
    for label in ("shop", "blog"):
        files[f"{label}/infra/main.tf"] = alb() + whole_service(label)
        files[f"{label}/keepalign.toml"] = ENDPOINT.format(f"/{label}", "5s") + ENDPOINT.format("/both", "6s")
    loaded = load_stack([written(tmp_path, files)])
    declared = {
        path.name: {e.path: str(e.longest_request) for e in path.endpoints} for path in loaded.stack.paths
    }
    assert declared == {
        "shop": {"/": "1 s", "/both": "6 s", "/shop": "5 s"},
        "blog": {"/": "1 s", "/both": "6 s", "/blog": "5 s"},
    }
    assert {e.path for e in loaded.workload.endpoints} == {"/", "/both", "/shop", "/blog"}


def test_one_declaration_speaks_for_the_whole_tree_wherever_it_lies(tmp_path: Path) -> None:
    files = {
        "infra/main.tf": alb() + whole_service("shop"),
        "docs/keepalign.toml": ENDPOINT.format("/x", "5s"),
    }
    (path,) = load_stack([written(tmp_path, files)]).stack.paths
    assert [e.path for e in path.endpoints] == ["/x"]


def test_containers_are_built_from_what_the_nearest_declaration_names(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for label, port in (("shop", 8001), ("blog", 8002)):
        container = '{ name = "web", image = "r/same:1" }'
        text = alb() + whole_service(label, containers=container).replace("8080", str(port))
        files[f"{label}/infra/main.tf"] = text
        files[f"{label}/keepalign.toml"] = '[containers]\nweb = "run"\n'
        files[f"{label}/run/Dockerfile"] = f'FROM python:3\nCMD ["gunicorn", "-b", ":{port}", "a:a"]\n'
    loaded = load_stack([written(tmp_path, files)])
    assert {t.name: t.programs["web"].ports for t in loaded.targets} == {"shop": (8001,), "blog": (8002,)}


def test_factor_variable_of_the_application_is_kept(tmp_path: Path) -> None:
    toml = '[application]\ntime_scale_env = "FASTER"\n'
    assert (
        load_stack([written(tmp_path, {"httpd.conf": CONF, "keepalign.toml": toml})]).time_scale_env
        == "FASTER"
    )
    assert load_stack([written(tmp_path / "b", {"httpd.conf": CONF})]).time_scale_env == ""


# Declared balancers


def test_declared_balancer_of_a_file_has_its_place_and_the_command_line_hides_it(tmp_path: Path) -> None:
    toml = '[in_front.aws-alb]\nidle_timeout = "75s"\n'
    root = written(tmp_path, {"httpd.conf": CONF, "keepalign.toml": toml})
    path = load_stack([root]).stack.paths[0]
    idle = path.hops[0].settings[Role.UPSTREAM_READ]
    assert value_of(idle) == Duration.of(s=75)
    assert idle.origin.literal is not None
    assert idle.origin.literal.place == f"{root}/keepalign.toml:2:1"
    assert path.lifecycle is None
    path = load_stack([root], in_front=["aws-alb:idle_timeout=20s, deregistration_delay=0s"]).stack.paths[0]
    assert value_of(path.hops[0].settings[Role.UPSTREAM_READ]) == Duration.of(s=20)
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.deregistration_delay) == Duration.of(s=0)


def test_declared_balancer_without_options_has_the_defaults(tmp_path: Path) -> None:
    root = written(tmp_path, {"httpd.conf": CONF})
    path = load_stack([root], in_front=["aws-alb"]).stack.paths[0]
    assert value_of(path.hops[0].settings[Role.UPSTREAM_POOL_IDLE]) == Duration.of(s=60)


@pytest.mark.parametrize(
    ("in_front", "message"),
    [
        (["nginx"], "'nginx' is no balancer that keepalign knows"),
        (["aws-alb:idle_timeout"], "options are NAME=DURATION"),
        (["aws-alb:idle=60s"], "aws-alb has no option 'idle'"),
        (["aws-alb:idle_timeout=60"], "'60' is no duration"),
        (["aws-alb:idle_timeout=60s", "aws-alb:idle_timeout=90s"], "two balancers are declared"),
    ],
)
def test_declared_balancer_that_cannot_be_understood_is_refused(
    tmp_path: Path, in_front: list[str], message: str
) -> None:
    root = written(tmp_path, {"httpd.conf": CONF})
    with pytest.raises(UsageError) as caught:
        load_stack([root], in_front=in_front)
    assert message in caught.value.message
    assert caught.value.hint


# What is not there, and what is left open


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "nothing that keepalign reads is below"),
        (
            {"README.md": "# x\n", "requirements.txt": "gunicorn==1\n"},
            "nothing that keepalign reads is below",
        ),
        ({"main.tf": 'resource "aws_s3_bucket" "b" {}\n'}, "neither a load balancer nor a web server"),
    ],
)
def test_tree_without_a_server_is_nothing_to_read(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(NothingToRead, match=message) as caught:
        load_stack([written(tmp_path, files)])
    assert caught.value.hint


def test_what_hides_a_balancer_is_not_nothing(tmp_path: Path) -> None:
    module = 'module "edge" {\n  source = "../edge"\n}\n'
    loaded = load_stack([written(tmp_path, {"live/main.tf": module})])
    assert not loaded.stack.paths
    assert any("module folder not found" in note.text for note in loaded.notes)


def test_what_a_command_line_leaves_open_is_noted(tmp_path: Path) -> None:
    container = GUNICORN.replace('"app:app"', '"-c", "gunicorn.py", "app:app"')
    loaded = load_stack([written(tmp_path, {"main.tf": alb() + whole_service("shop", containers=container)})])
    assert isinstance(loaded.stack.paths[0].hops[1].settings[Role.HANDLER_TIMEOUT], Unknown)
    assert [note.text for note in loaded.notes if "gunicorn.py" in note.text]
