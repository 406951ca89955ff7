"""The story's stack: what `check` says of it, and that it is valid Terraform and valid Apache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepalign import rules
from keepalign.join import load_stack
from keepalign.lab.recipes import apache_httpd
from keepalign.readers._fragments import ApacheFragment

STORY = Path(__file__).parents[2] / "examples" / "orders-api"
CAUSES = {
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "proxy-read-below-app-timeout",
    "response-cut-by-total-timeout",
    "deregistration-below-longest-request",
    "stop-timeout-below-drain",
}


def test_broken_has_its_causes_each_once() -> None:
    findings = rules.check(load_stack([str(STORY / "broken")]).stack).findings
    assert sorted(finding.cause for finding in findings) == sorted(CAUSES)


def test_fixed_has_none_and_leaves_nothing_unknown() -> None:
    loaded = load_stack([str(STORY / "fixed")])
    result = rules.check(loaded.stack)
    assert not result.findings
    assert not result.undecided
    assert not loaded.stack.unjoined


def test_fixed_keeps_the_numbers_of_the_story() -> None:
    alb, httpd, _ = load_stack([str(STORY / "fixed")]).stack.paths[0].hops
    values = {str(getattr(s, "value", s)) for hop in (alb, httpd) for s in hop.settings.values()}
    assert {"120 s", "150 s", "300 s"} <= values


def test_broken_and_fixed_are_the_same_application() -> None:
    for name in (
        "app/app.py",
        "app/Dockerfile",
        "app/docker-entrypoint.sh",
        "httpd/Dockerfile",
        "keepalign.toml",
    ):
        assert (STORY / "broken" / name).read_bytes() == (STORY / "fixed" / name).read_bytes(), name


def provider_mirrors() -> Iterator[Path]:
    """Folders that hold a mirror of the AWS provider, where administrators put them."""
    named = os.environ.get("KEEPALIGN_TERRAFORM_MIRROR")
    if named:
        yield Path(named)
    for top in (
        Path.home() / ".terraform.d" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        *Path("/opt").glob("*"),
    ):
        if list(top.glob("*/hashicorp/aws")):
            yield top


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
def test_apache_accepts_its_configuration_as_the_lab_runs_it(variant: str, tmp_path: Path) -> None:
    loaded = load_stack([str(STORY / variant)])
    (target,) = loaded.targets
    conf = target.programs["httpd"].server
    assert isinstance(conf, ApacheFragment)
    ports = {8080: 20_080, 8000: 20_081, 8001: 20_082}
    rewritten = apache_httpd.rewrite(
        loaded.sources[conf.file], conf, folder=tmp_path, ports=ports, backends=ports, scale=10
    )
    path = tmp_path / "httpd.conf"
    path.write_bytes(rewritten.text)
    done = subprocess.run(
        [apache_httpd.find().program, "-t", "-f", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
