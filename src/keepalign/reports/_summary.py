"""The sentence that every layout ends with."""

from __future__ import annotations

from keepalign.model.checked import CheckResult
from keepalign.model.finding import Severity
from keepalign.model.gated import Gate
from keepalign.model.path import Stack


def counted(number: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def sentence(stack: Stack, result: CheckResult, notes: int, gate: Gate) -> str:
    """What was found on how many paths, and what was not: held back, as before, unknown, not joined."""
    found = result.findings
    words = [
        f"{n} {s.word}" for s in sorted(Severity, reverse=True) if (n := sum(f.severity is s for f in found))
    ]
    text = counted(len(found), "new finding" if gate.base else "finding")
    if words:
        text += f" ({', '.join(words)})"
    text += f" on {counted(len(stack.paths), 'request path')}"
    for number, what in (
        (len(gate.suppressed), "suppressed"),
        (gate.unchanged, f"as in {gate.base}"),
        (
            sum(gone.count for gone in gate.gone),
            f"gone since {gate.base}" if gate.base else "of the baseline gone",
        ),
        (len(result.undecided) + notes, "unknown"),
        (len(stack.unjoined), "not joined"),
    ):
        if number:
            text += f", {number} {what}"
    return f"{text}."
