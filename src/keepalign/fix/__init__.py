"""From findings to edits that leave the whole path clean.

solve    values for a whole path
edit     byte spans, diffs, writing
repair   solve, overlay, read again, check again
costs    what a change costs, and whether it is safe
rollout  in which order changes may take effect
"""

from __future__ import annotations

from keepalign.fix.edit import write
from keepalign.fix.repair import Repair, changes_applied, diff, diffs_of, repair
from keepalign.fix.rollout import roll_out
from keepalign.fix.solve import Plan, solve

__all__ = ["Plan", "Repair", "changes_applied", "diff", "diffs_of", "repair", "roll_out", "solve", "write"]
