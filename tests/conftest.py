"""Shared by all tests: Hypothesis profiles, and which servers are here.

With KEEPALIGN_REQUIRE_SERVERS=1 (as `.ci/run` sets it) a server-backed test that would be skipped fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=36, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REQUIRED = os.environ.get("KEEPALIGN_REQUIRE_SERVERS") == "1"

# Set by a terminal, a CI system or a git hook: how it is printed, and which repository is meant.
NOT_OURS = re.compile(
    "(NO|FORCE)_COLOR|CLICOLOR(_FORCE)?|COLUMNS|LINES|TTY_.*"
    "|GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX|OBJECT_DIRECTORY|COMMON_DIR)"
)


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Also of the processes that tests start: what `diagnose` keeps goes to a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(NOT_OURS.fullmatch, list(os.environ)):
            patch.delenv(name)
        patch.setenv("KEEPALIGN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRED and report.skipped and item.get_closest_marker("lab") is not None:
        report.outcome = "failed"
        report.longrepr = f"a server-backed test was skipped: {report.longrepr}"
    return report
