"""`python -m bench [name…]`: runs the named benchmarks; without a name the quick ones, in the order below."""

from __future__ import annotations

import importlib
import sys

# Each is a module here with `run() -> None`, which prints what it measured.
QUICK = ("check", "balancer")
NAMES = (*QUICK, "attribution", "logs", "repository", "scenarios")


def main(arguments: list[str]) -> int:
    """Run them; returns 2 for an unknown name."""
    unknown = [name for name in arguments if name not in NAMES]
    if unknown:
        print(f"bench: no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in arguments or QUICK:
        print(f"── {name} ──", flush=True)
        importlib.import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
