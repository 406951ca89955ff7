"""The story's stack with nginx in the place of Apache: what `check` says of it, what `fix` makes of it, and
that it is valid Terraform and valid nginx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.examples.test_orders_api import provider_mirrors

from keepalign import rules
from keepalign.fix import repair
from keepalign.join import Loaded, load_stack
from keepalign.lab.recipes import nginx
from keepalign.model.path import Stack
from keepalign.model.setting import value_of
from keepalign.readers._fragments import NginxFragment
from keepalign.units import Duration

STORY = Path(__file__).parents[2] / "examples" / "orders-api-nginx"
APACHE_STORY = STORY.with_name("orders-api")
CAUSES = {
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "proxy-read-below-app-timeout",
    "response-cut-by-total-timeout",
    "deregistration-below-longest-request",
    "stop-timeout-below-drain",
}


def load(variant: str) -> Loaded:
    return load_stack([str(STORY / variant)])


def values(stack: Stack) -> Mapping[tuple[str, str, str], Duration | None]:
    """Every time of the stack, by path, hop or container, and vendor option."""
    found = {
        (path.name, hop.name, setting.option): value_of(setting)
        for path in stack.paths
        for hop in path.hops
        for setting in hop.settings.values()
    }
    for path in stack.paths:
        assert path.lifecycle is not None
        found[path.name, "", "deregistration_delay"] = value_of(path.lifecycle.deregistration_delay)
        for stop in path.lifecycle.stops:
            found[path.name, stop.container, "stopTimeout"] = value_of(stop.stop_timeout)
    return found


def test_broken_has_the_causes_of_the_story() -> None:
    causes = {finding.cause for finding in rules.check(load("broken").stack).findings}
    assert causes >= CAUSES


def test_fixed_has_none_and_leaves_nothing_unknown() -> None:
    loaded = load("fixed")
    result = rules.check(loaded.stack)
    assert not result.findings
    assert not result.undecided
    assert not loaded.stack.unjoined


def test_fixed_is_what_fix_makes_of_broken() -> None:
    broken = load("broken")
    made = repair(broken.stack, broken.sources, lambda overlay: broken.reread(overlay).stack)
    assert not made.after.findings
    assert values(broken.reread(made.changed).stack) == values(load("fixed").stack)


def test_broken_and_fixed_are_the_same_application_as_apaches() -> None:
    for name in ("app/app.py", "app/Dockerfile", "app/docker-entrypoint.sh", "keepalign.toml"):
        texts = {(story / name).read_bytes() for story in (STORY / "broken", STORY / "fixed")}
        assert texts == {(APACHE_STORY / "broken" / name).read_bytes()}, name


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_terraform_accepts_it(variant: str, tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    mirror = next(provider_mirrors(), None)
    if terraform is None or mirror is None:
        pytest.skip("needs terraform and a mirror of the hashicorp/aws provider (KEEPALIGN_TERRAFORM_MIRROR)")
    folder = tmp_path / "infra"
    shutil.copytree(STORY / variant / "infra", folder)
    # A configuration file of the machine may name other sources; this test needs the mirror alone.
    env = {k: v for k, v in os.environ.items() if not k.startswith("TF_")} | {
        "TF_CLI_CONFIG_FILE": os.devnull
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [terraform, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    run("init", "-input=false", "-no-color", f"-plugin-dir={mirror}")
    assert json.loads(run("validate", "-json"))["valid"] is True


@pytest.mark.lab
@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_nginx_accepts_its_configuration_as_the_lab_runs_it(variant: str, tmp_path: Path) -> None:
    loaded = load(variant)
    (target,) = loaded.targets
    program = target.programs["nginx"]
    assert isinstance(program.server, NginxFragment)
    assert program.stop_signal == "SIGQUIT"
    ports = {8080: 20_080, 8000: 20_081, 8001: 20_082}
    source = loaded.sources[program.server.file]
    done = nginx.rewrite(source, program.server, folder=tmp_path, ports=ports, backends=ports, scale=10)
    # Raises what nginx -t says.
    assert nginx.launch(tmp_path, done, 20_080, program.stop_signal, {}).argv[0] == nginx.find().program
