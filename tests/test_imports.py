"""The rooms' law: imports go only downwards, and machines touch neither clocks nor sockets."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import keepalign

ROOT = Path(keepalign.__file__).parent

# From the ground up, as in `keepalign/__init__.py`; rooms on one line do not import each other.
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"units", "errors"}),
    frozenset({"model"}),
    frozenset({"readers", "defaults"}),
    frozenset({"join", "rules", "machines", "reports", "scenarios"}),
    frozenset({"fix", "gate", "lab", "logs"}),
    frozenset({"prove"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def room_of(path: Path) -> str:
    """The room that a source file belongs to; "" for the package's own `__init__`."""
    first = path.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Full names of every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


SOURCES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_only_downwards(path: Path) -> None:
    room = room_of(path)
    if room in ("", "examples"):
        return
    assert room in LEVEL_OF, f"{room} is not in the list of rooms: add it where it belongs"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "keepalign" or len(parts) < 2 or parts[1] not in LEVEL_OF:
            continue
        other = parts[1]
        assert other == room or LEVEL_OF[other] < LEVEL_OF[room], f"{room} must not import {other}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "machines").glob("*.py")), ids=lambda p: p.name)
def test_machines_have_no_clock_and_no_socket(path: Path) -> None:
    banned = {
        "asyncio",
        "socket",
        "select",
        "selectors",
        "ssl",
        "time",
        "threading",
        "subprocess",
        "secrets",
        "os",
    }
    assert not banned & {name.split(".")[0] for name in imports_of(path)}
    # Randomness may be handed in, never made.
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert not [
        call for call in calls if ast.unparse(call.func) in ("random.Random", "Random", "datetime.now")
    ]


def test_every_room_is_listed() -> None:
    rooms = {room_of(path) for path in SOURCES} - {"", "examples"}
    assert rooms <= set(LEVEL_OF)
    assert rooms >= {"model", "readers", "join", "rules", "machines", "lab", "prove", "cli"}
