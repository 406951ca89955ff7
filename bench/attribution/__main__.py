"""`python -m bench.attribution`: make a corpus, or score the judge over one.

python -m bench.attribution --make DIR --split tune       what DIR lacks of it; half an hour
python -m bench.attribution --score DIR/tune              seconds
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.attribution import make, score
from bench.attribution.incidents import SPLITS


def main(arguments: list[str]) -> int:
    """Returns 1 when an incident could not be played."""
    parser = argparse.ArgumentParser(prog="python -m bench.attribution", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--make", type=Path, metavar="DIR", help="play the incidents that DIR/SPLIT lacks")
    what.add_argument("--score", type=Path, metavar="DIR", help="score a split that is there")
    parser.add_argument("--split", choices=SPLITS, default="heldout")
    parser.add_argument("--rounds", type=int, default=3, help="incidents of each kind")
    parser.add_argument("--only", nargs="*", default=(), help="names of incidents, or their beginnings")
    parser.add_argument("--at-once", type=int, default=make.AT_ONCE)
    parser.add_argument("--mistakes", type=int, default=0, help="show so many lines of each confusion")
    given = parser.parse_args(arguments)
    if given.score is not None:
        score.show(given.score, mistakes=given.mistakes)
        return 0
    options = {"rounds": given.rounds, "only": given.only, "at_once": given.at_once}
    failed = make.corpus(given.make, (given.split,), **options)
    if failed:
        print(f"not played: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
