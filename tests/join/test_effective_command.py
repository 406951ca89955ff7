"""What a container really runs: environment of the task, files read without being named, order of routes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.trees import written

from keepalign.join import load_stack
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

STORY = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"

SCRIPT = """\
#!/bin/sh
exec gunicorn -k gthread --threads 4 --keep-alive "${KEEP:-7}" "$@" app:application
"""


def story(folder: Path, changed: dict[str, tuple[str, str]]) -> str:
    """The story's stack with one text replaced per file."""
    texts = {
        str(file.relative_to(STORY)): file.read_text("utf-8") for file in STORY.rglob("*") if file.is_file()
    }
    for name, (old, new) in changed.items():
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    return written(folder, texts)


def keep_alive_of_api(root: str) -> Setting:
    (path,) = [path for path in load_stack([root]).stack.paths if path.route == "/"]
    assert path.hops[-1].name == "api"
    return path.hops[-1].settings[Role.SERVER_IDLE]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("[]", 7), ('[{ name = "KEEP", value = "75" }]', 75)],
    ids=["default of the script", "set by the task"],
)
def test_entrypoint_script_runs_with_the_tasks_environment(
    environment: str, expected: int, tmp_path: Path
) -> None:
    line = "command     = local.api_command"
    root = story(
        tmp_path,
        {
            "infra/service.tf": (line, f"{line}\n      environment = {environment}"),
            "app/docker-entrypoint.sh": ((STORY / "app/docker-entrypoint.sh").read_text("utf-8"), SCRIPT),
        },
    )
    setting = keep_alive_of_api(root)
    assert value_of(setting) == Duration.of(s=expected)


def test_conf_that_gunicorn_reads_by_itself_makes_its_options_unknown(tmp_path: Path) -> None:
    gthread = '"--workers", "32", "--threads", "4"'
    root = story(tmp_path, {"infra/service.tf": ('"--workers", "32"', gthread)})
    assert value_of(keep_alive_of_api(root)) == Duration.of(s=2)
    (tmp_path / "app" / "gunicorn.conf.py").write_text("keepalive = 75\n")
    setting = keep_alive_of_api(root)
    # The worker class may stand there too, and it decides whether there is a keep-alive at all.
    assert isinstance(setting, Unknown)


def test_route_below_an_earlier_shorter_one_is_never_taken(tmp_path: Path) -> None:
    conf = (STORY / "httpd" / "httpd.conf").read_text("utf-8")
    reports = "    ProxyPass        /reports http://127.0.0.1:8001/reports timeout=300\n"
    everything = "    ProxyPass        / http://127.0.0.1:8000/\n"
    swapped = conf.replace(everything, "").replace(reports, everything + reports)
    root = story(tmp_path, {"httpd/httpd.conf": (conf, swapped)})
    assert [path.route for path in load_stack([root]).stack.paths] == ["/"]
