"""Any bytes as source: a fragment, nothing, or an error with its place, in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.cdk.support import PYTHON, TYPESCRIPT, whole
from tests.readers.cdk.test_reader import PATTERN_PY, PATTERN_TS, STACK_PY, STACK_TS
from tests.readers.sites import spans_in

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.cdk.reader import read_source

FILES = {
    "stack.ts": (whole(TYPESCRIPT, STACK_TS + PATTERN_TS)).encode(),
    "stack.py": (whole(PYTHON, STACK_PY + PATTERN_PY)).encode(),
}


def outcome(name: str, data: bytes) -> None:
    """Anything else than a fragment, nothing or an error with its place is a fault."""
    source = SourceText(name, data)
    try:
        fragment = read_source(source)
    except ReadError as error:
        if error.line is None or error.column is None:
            raise AssertionError("an error without a place") from error
        return
    for span in spans_in(fragment):
        assert 0 <= span.start <= span.end <= len(data)
        assert span == source.span(span.start, span.end)


@given(st.sampled_from(list(FILES)), st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    outcome(name, data)


@given(st.sampled_from(list(FILES)), st.floats(0, 1), st.binary(max_size=6), st.booleans())
def test_any_damage(name: str, where: float, junk: bytes, windows: bool) -> None:
    data = FILES[name].replace(b"\n", b"\r\n") if windows else FILES[name]
    at = int(where * len(data))
    outcome(name, data[:at] + junk + data[at + len(junk) :])
    outcome(name, b"\xef\xbb\xbf" + data[:at])


WORDS = st.sampled_from([
    "lb", "new ", "elbv2.ApplicationLoadBalancer", "(", ")", "{", "}", "[", "]", ",", ":", ".", "=", "\n",
    "'LB'", "addListener", "addTargets", "addContainer", "idleTimeout", "targets", "Duration.seconds(5)",
    "const ", "this", "ecs.FargateService", "taskDefinition", "ApplicationLoadBalancedFargateService", "...",
    "`${x}`", "self", "5", "ContainerImage.fromAsset", "priority", "setAttribute", "forward", "class A ",
    "def f", "if x", "\r", "\t",
])  # fmt: skip


@given(st.sampled_from(list(FILES)), st.lists(WORDS, max_size=40))
def test_any_words(name: str, words: list[str]) -> None:
    outcome(name, "".join(words).encode())


def chain(count: int) -> str:
    """`const a1 = a0; …`, and calls on calls."""
    return "".join(f"const a{i + 1} = a{i};\n" for i in range(count)) + "new ApplicationLoadBalancer(a, a9);"


def nested(count: int) -> str:
    """Calls in calls."""
    return "f(" * count + ")" * count


def objects(count: int) -> str:
    """Many imports that end nowhere."""
    return "import { Duration " * count


def doubling(count: int) -> str:
    """Texts and numbers, each made of the next one, again and again."""
    rows = ""
    for i in range(min(count, 40)):
        rows += f"const a{i} = a{i + 1} + a{i + 1} + a{i + 1};\nconst b{i} = `${{b{i + 1}}}${{b{i + 1}}}`;\n"
    options = "{ idleTimeout: cdk.Duration.seconds(a0), loadBalancerName: b0 }"
    return rows + f"new ApplicationLoadBalancer(this, b0, {options});\n" * (count // 100)


@pytest.mark.parametrize("name", ["stack.ts", "stack.py"])
@pytest.mark.parametrize("text", [chain, nested, objects, doubling])
def test_time_is_linear(name: str, text: Callable[[int], str]) -> None:
    def taken(count: int) -> float:
        spent = time.process_time()
        outcome(name, text(count).encode())
        return time.process_time() - spent

    taken(50)
    assert taken(4_000) < 60 * max(taken(400), 0.01)
