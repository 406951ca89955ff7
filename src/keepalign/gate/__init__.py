"""What stands between the findings of a check and its exit code.

ignores   comments in the files that hold a finding back, with a reason and a last day
gated     the findings that are left
baseline  without those that were there before, by fingerprint
revision  the files of another revision, as git has them
flips     without those that the other revision has, and which edits made the rest

From `baseline` on, each is imported where it is asked for: most runs do without.
"""

from __future__ import annotations

from keepalign.gate.gated import Gated, gated

__all__ = ["Gated", "gated"]
