"""The story's stack with its values and their places varied: after the fix the check is clean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from keepalign.fix import Repair, repair
from keepalign.join import load_stack

BROKEN: Final = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"

Variant = Callable[[int], Mapping[str, tuple[str, str]]]
"""From a value to (old text, new text) by file: the same setting, written in another place or way."""

MAIN, SERVICE, VARIABLES = "infra/main.tf", "infra/service.tf", "infra/variables.tf"
TFVARS, CONF = "infra/terraform.tfvars", "httpd/httpd.conf"

IDLE: Final[tuple[Variant, ...]] = (
    lambda n: {VARIABLES: ("default     = 60", f"default     = {n}")},
    lambda n: {MAIN: ("= var.alb_idle_timeout", f"= {n}")},
    lambda n: {TFVARS: ("vpc_id ", f"alb_idle_timeout = {n}\nvpc_id ")},
    lambda n: {MAIN: ("idle_timeout       = var.alb_idle_timeout", "")},
)
KEEP: Final[tuple[Variant, ...]] = (
    lambda n: {CONF: ("KeepAliveTimeout 5\n", f"KeepAliveTimeout {n}\n")},
    lambda n: {CONF: ("KeepAliveTimeout 5\n", "")},
    lambda n: {CONF: ("KeepAliveTimeout 5\n", f"KeepAliveTimeout {n}000ms\n")},
    lambda n: {CONF: ("    ProxyPreserveHost On", f"    ProxyPreserveHost On\n    KeepAliveTimeout {n}")},
)
DELAY: Final[tuple[Variant, ...]] = (
    lambda n: {MAIN: ("deregistration_delay = 0", f"deregistration_delay = {n}")},
    lambda n: {MAIN: ("= local.deregistration_delay", f"= {n}")},
    lambda n: {MAIN: ("= local.deregistration_delay", f'= "{n}"')},
)
PROXY: Final[tuple[Variant, ...]] = (
    lambda n: {CONF: ("\nTimeout 20\n", f"\nTimeout {n}\n")},
    lambda n: {CONF: ("\nTimeout 20\n", f"\nTimeout 20\nProxyTimeout {n}\n")},
    lambda n: {
        CONF: (
            "http://127.0.0.1:8000/\n    ProxyPassReverse",
            f"http://127.0.0.1:8000/ timeout={n}\n    ProxyPassReverse",
        )
    },
    lambda n: {CONF: ("\nTimeout 20\n", "\n")},
)
WORKER: Final[tuple[Variant, ...]] = (
    lambda n: {SERVICE: ('"--timeout", "30"', f'"--timeout", "{n}"')},
    lambda n: {SERVICE: ('"--timeout", "30"', f'"--timeout={n}"')},
    lambda n: {SERVICE: ('"--timeout", "30"', f'"-t", "{n}"')},
    lambda n: {SERVICE: (', "--timeout", "30"', "")},
    lambda n: {SERVICE: ('"--timeout", "30"', '"--timeout", tostring(var.stop_timeout)')},
)

SECONDS = st.integers(min_value=1, max_value=200)


def mend(changes: list[Mapping[str, tuple[str, str]]]) -> Repair:
    texts = {name: (BROKEN / name).read_text() for name in (MAIN, SERVICE, VARIABLES, TFVARS, CONF)}
    for change in changes:
        for name, (old, new) in change.items():
            assert old in texts[name], f"{name} has no {old!r}"
            texts[name] = texts[name].replace(old, new, 1)
    base = {str(BROKEN / name): text.encode() for name, text in texts.items()}
    loaded = load_stack([str(BROKEN)], overlay=base)
    assert len(loaded.stack.paths) == 2
    return repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread({**base, **overlay}).stack)


def variants(
    kinds: tuple[Variant, ...], values: st.SearchStrategy[int] = SECONDS
) -> st.SearchStrategy[Mapping[str, tuple[str, str]]]:
    return st.builds(lambda variant, value: variant(value), st.sampled_from(kinds), values)


@settings(max_examples=40)
@given(
    idle=variants(IDLE),
    keep=variants(KEEP),
    delay=variants(DELAY, st.integers(0, 200)),
    proxy=variants(PROXY),
    worker=variants(WORKER),
)
def test_check_is_clean_after_the_fix_of_a_varied_story(
    idle: Mapping[str, tuple[str, str]],
    keep: Mapping[str, tuple[str, str]],
    delay: Mapping[str, tuple[str, str]],
    proxy: Mapping[str, tuple[str, str]],
    worker: Mapping[str, tuple[str, str]],
) -> None:
    mended = mend([idle, keep, delay, proxy, worker])
    assert mended.after.findings == ()
    assert mended.plan.by_hand == ()
    assert bool(mended.changed) == bool(mended.before.findings)
