"""Names that are unique within one run, and the same in the next run over the same files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def unique(wanted: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """One name each: the wanted one where nothing else has it, else with what tells them apart.

    Args:
        wanted: a name and its qualifiers ("behind aws_lb.public"), the most telling first. A qualifier is
            added only where it differs between things of one name; a number is the last resort.
    """
    names = [name for name, _ in wanted]
    for depth in range(max((len(qualifiers) for _, qualifiers in wanted), default=0)):
        alike: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            alike.setdefault(name, []).append(index)
        for indexes in alike.values():
            told = {i: wanted[i][1][depth] for i in indexes if depth < len(wanted[i][1])}
            if len(indexes) > 1 and len({told.get(i, "") for i in indexes}) > 1:
                for i, qualifier in told.items():
                    names[i] += f" {qualifier}"
    seen: Counter[str] = Counter()
    taken = set(names)
    for index, name in enumerate(names):
        seen[name] += 1
        while seen[name] > 1 and names[index] in taken:
            names[index] = f"{name} ({seen[name]})"
            seen[name] += names[index] in taken
        taken.add(names[index])
    return names
