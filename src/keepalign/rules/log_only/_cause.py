"""What a cause is that shows in logs only: its page and its metadata. There is no check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_SETTING: Final = "no two settings that could be compared decide it"


@dataclass(frozen=True, slots=True)
class LogOnly:
    """One cause that no static check can find.

    Args:
        slug: the name of the fault, shared by every room.
        since: the release it came with.
        page: the module docstring; its first line states the good state.
        next_command: what decides it where the log cannot, as a shell command that changes nothing; empty for
            none.
        no_scenario: why the lab has no stack that shows it.
    """

    slug: str
    since: str
    page: str
    next_command: str = ""
    no_scenario: str = NO_SETTING

    @property
    def title(self) -> str:
        """The good state, in one line."""
        return self.page.partition("\n")[0].rstrip(".")
