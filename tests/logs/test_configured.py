"""A stack's configuration beside its log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.logs.lines import GROUP

from keepalign import fix, rules
from keepalign.errors import NothingToRead, UsageError
from keepalign.join import Loaded
from keepalign.logs.configured import Solved, configured
from keepalign.logs.known import Configured
from keepalign.model.observation import Timers
from keepalign.units import Duration

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "examples" / "orders-api" / "broken"
FIXED = ROOT / "examples" / "orders-api" / "fixed"
STALE, SLOW, DRAIN = (
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "deregistration-below-longest-request",
)
USERS = GROUP.replace("targetgroup/orders", "targetgroup/users")


def s(seconds: float) -> Duration:
    return Duration.of(s=seconds)


def solve(loaded: Loaded) -> Solved:
    mended = fix.repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
    return Solved(mended.before, mended.plan.changes, fix.roll_out(mended.plan.changes, loaded.stack))


def whats(found: Configured, cause: str, group: str = GROUP) -> list[str]:
    return [remedy.what for remedy in found.advice(cause, [group]).remedies]


def test_timers_of_the_one_target_group_hold_for_every_log() -> None:
    found = configured(str(BROKEN))
    assert found.names == ("orders",)
    assert found.timers == {
        "": Timers(
            idle_timeout=s(60),
            keep_alive=s(5),
            deregistration_delay=s(0),
            stop_timeout=s(20),
            proxy_read=s(20),
            worker_timeout=s(30),
            graceful=True,
        )
    }
    assert found.notes == ()


def test_line_and_value_of_each_cause_are_named() -> None:
    found = configured(str(BROKEN))
    assert whats(found, STALE) == [f"set KeepAliveTimeout 90 in {BROKEN}/httpd/httpd.conf:32 (now 5 s)"]
    assert whats(found, SLOW) == [f"set idle_timeout 120 in {BROKEN}/infra/variables.tf:32 (now 60 s)"]
    assert whats(found, DRAIN) == [f"set deregistration_delay 120 in {BROKEN}/infra/main.tf:16 (now 0 s)"]
    (remedy,) = found.advice(STALE, [GROUP]).remedies
    assert (remedy.option, remedy.value, remedy.now) == ("KeepAliveTimeout", s(90), "5 s")
    assert (remedy.file, remedy.line, remedy.column) == (f"{BROKEN}/httpd/httpd.conf", 32, 1)
    assert found.advice(STALE, [GROUP]).mitigation is not None


def test_values_of_a_whole_fix_suit_each_other() -> None:
    found = configured(str(BROKEN), solve=solve)
    # The idle timeout goes to 120 s, so the keep-alive timeout has to be above that.
    assert whats(found, STALE) == [f"set KeepAliveTimeout 150 in {BROKEN}/httpd/httpd.conf:32 (now 5 s)"]
    order = found.advice(STALE, [GROUP]).order
    # Other changes of the roll-out cure other causes, and are told with them.
    assert order == (
        "Deploy the targets, and wait until the last old one is gone. (KeepAliveTimeout 150 s of httpd)",
    )
    (step,) = found.advice(SLOW, [GROUP]).order
    assert step.startswith("Then change the balancer's other times. (idle_timeout 120 s")


def test_stack_in_order_says_so_of_the_cause() -> None:
    found = configured(str(FIXED))
    advice = found.advice(STALE, [GROUP])
    assert advice.remedies == ()
    assert advice.holds.startswith(f"{FIXED} is in order there (KeepAliveTimeout 150 s > idle_timeout 120 s)")


def test_log_of_another_target_group_is_told() -> None:
    found = configured(str(BROKEN))
    assert found.strangers([GROUP]) == ()
    assert found.strangers([USERS, ""]) == (
        f"{BROKEN} has one target group, orders; it was taken for users of the log",
    )


@pytest.fixture
def two_services(tmp_path: Path) -> Path:
    """Two services behind two balancers: orders as it is, users with another keep-alive timeout."""
    for name in ("orders", "users"):
        shutil.copytree(BROKEN, tmp_path / name)
    users = tmp_path / "users"
    for file in users.rglob("*.tf*"):
        text = file.read_text("utf-8").replace("orders", "users")
        file.write_text(text, "utf-8")
    conf = users / "httpd" / "httpd.conf"
    conf.write_text(conf.read_text("utf-8").replace("KeepAliveTimeout 5", "KeepAliveTimeout 75"), "utf-8")
    return tmp_path


def test_target_groups_are_told_apart_by_their_names(two_services: Path) -> None:
    found = configured(str(two_services / "orders"), str(two_services / "users"))
    assert found.names == ("orders", "users")
    assert found.timers["orders"].keep_alive == s(5)
    assert whats(found, STALE)
    other = GROUP.replace("targetgroup/orders", "targetgroup/shop")
    assert whats(found, STALE, other) == []
    assert found.strangers([other]) == (
        f"{found.source} has the target groups orders, users; nothing in it is for shop of the log",
    )


def test_target_groups_of_one_name_with_other_timers_are_ambiguous(two_services: Path) -> None:
    both = configured(str(two_services / "orders"), str(two_services / "users"))
    assert both.notes == ()
    for file in (two_services / "users").rglob("*.tf*"):
        text = file.read_text("utf-8").replace("users", "orders")
        file.write_text(text.replace("default     = 60\n", "default     = 90\n"), "utf-8")
    found = configured(str(two_services / "orders"), str(two_services / "users"))
    assert found.timers == {}
    assert whats(found, STALE) == []
    (note,) = found.notes
    assert "target group orders is behind aws_lb.this (" in note
    assert note.endswith("; which of them the log is of is not known")


def test_unknown_settings_stay_unknown(tmp_path: Path) -> None:
    shutil.copytree(BROKEN, tmp_path / "x")
    variables = tmp_path / "x" / "infra" / "variables.tf"
    text = variables.read_text("utf-8")
    assert "default     = 60\n" in text
    variables.write_text(text.replace("  default     = 60\n", ""), "utf-8")
    found = configured(str(tmp_path / "x"))
    assert found.timers[""].idle_timeout is None
    assert found.timers[""].keep_alive == s(5)
    assert "does not decide it" in found.advice(STALE, [GROUP]).holds


def test_balancer_may_be_stated(tmp_path: Path) -> None:
    (tmp_path / "httpd.conf").write_text(
        "Listen 80\nKeepAlive On\nKeepAliveTimeout 5\nDocumentRoot /srv\n", "utf-8"
    )
    found = configured(str(tmp_path), in_front=["aws-alb:idle_timeout=60s"])
    assert found.timers[""].idle_timeout == s(60)
    assert whats(found, STALE) == [f"set KeepAliveTimeout 90 in {tmp_path}/httpd.conf:3 (now 5 s)"]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead):
        configured(str(tmp_path))
    with pytest.raises(UsageError):
        configured(str(tmp_path / "missing"))


def test_every_cause_of_the_configuration_is_a_rule() -> None:
    slugs = {rule.slug for rule in rules.RULES}
    assert {cause for _, cause in configured(str(BROKEN)).found} <= slugs
