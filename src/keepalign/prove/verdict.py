"""From runs to a verdict: counts per cause, what was not predicted, and why a proof does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from keepalign.lab.experiment import ONE_WAY, Run
from keepalign.lab.lag import STEP
from keepalign.model.finding import Finding
from keepalign.model.proof import Count, InLife, Other, Row, RunSummary, Verdict
from keepalign.model.trace import ClientFailure
from keepalign.prove.attribute import CLIENT_SIDE, STALE, UNEXPLAINED, Limits, failures
from keepalign.prove.exposure import exposed
from keepalign.units import ZERO, Duration

# Below this many exposed requests an error-free run says little (3/60 = 5 %).
ENOUGH: Final = 60


def row(
    cause: str,
    findings: Sequence[Finding],
    before: Run,
    after: Run,
    limits: Mapping[str, Limits],
    taken_back: Run | None = None,
    in_life: InLife | None = None,
) -> Row:
    """What the runs say of one predicted cause.

    Args:
        findings: at least one of them of this cause.
        limits: by path name, as run, of the stack before the fix: what "exposed" means in every run.
        in_life: of stale re-use.
    """

    def count(run: Run) -> Count:
        errors = sum(failed.cause == cause for failed in failures(run))
        # A failure proves that its request was exposed, also where a timer struck at the edge of its window.
        return Count(max(exposed(run, limits).get(cause, 0), errors), errors)

    predicted = next(finding.arithmetic for finding in findings if finding.cause == cause)
    first, second = count(before), count(after)
    third = count(taken_back) if taken_back is not None else None
    verdict, why = judge(first, second, third)
    late_by = max((one.race.late_by for one in limits.values() if one.race is not None), default=ZERO)
    if cause == STALE and verdict is Verdict.NOT_SEEN and _may_be_missed(first.exposed, late_by):
        verdict = Verdict.NOT_SHOWABLE
        why = f"the server closes up to {late_by} late, and {first.exposed} requests can all miss that moment"
    if verdict is Verdict.HIDDEN:
        why = f"hidden behind {_commonest(before) or 'other failures'}; shown with its own edits taken back"
    return Row(cause, predicted, first, second, verdict, third, why, in_life if cause == STALE else None)


def explained(cause: str, why: str, findings: Sequence[Finding], before: Run, after: Run | None) -> Row:
    """The row of a cause that a rolling update cannot show.

    Should it show all the same, it is counted: errors after the fix are errors.
    """

    def count(run: Run | None) -> Count:
        errors = sum(failed.cause == cause for failed in failures(run)) if run is not None else 0
        return Count(errors, errors)

    predicted = next(finding.arithmetic for finding in findings if finding.cause == cause)
    first, second = count(before), count(after)
    if second.errors:
        return Row(cause, predicted, first, second, Verdict.NOT_CURED)
    return Row(cause, predicted, first, second, Verdict.EXPLAINED, why=why)


def _may_be_missed(exposed_requests: int, late_by: Duration) -> bool:
    """Whether a window of some milliseconds, anywhere within `late_by`, can have been missed by all requests
    with a chance above 5 %."""
    window = ONE_WAY * 2 + STEP
    return bool((late_by.us / (late_by.us + window.us)) ** exposed_requests > 0.05)


def judge(before: Count, after: Count, taken_back: Count | None) -> tuple[Verdict, str]:
    """The verdict of three counts, and its reason where it needs one."""
    if after.errors:
        return Verdict.NOT_CURED, ""
    shown, when = before, "before the fix"
    if taken_back is not None and not before.errors:
        shown, when = taken_back, "with its own edits taken back"
    few, when = min((shown.exposed, when), (after.exposed, "after the fix"))
    if few < ENOUGH:
        return Verdict.NOT_SHOWABLE, (
            f"only {few} requests were exposed {when}, and fewer than {ENOUGH} say little; "
            "more workers, or endpoints in keepalign.toml that take longer, expose more"
        )
    if before.errors:
        return Verdict.SEEN, ""
    if taken_back is not None and taken_back.errors:
        return Verdict.HIDDEN, ""
    return Verdict.NOT_SEEN, ""


def needs_another_look(first: Row) -> bool:
    """Whether a cause may have stayed hidden behind another: a run without its own edits will tell."""
    return not first.before.errors and first.verdict in (Verdict.NOT_SEEN, Verdict.NOT_SHOWABLE)


def _commonest(run: Run) -> str:
    causes = Counter(failed.cause for failed in failures(run))
    return causes.most_common(1)[0][0] if causes else ""


def summary(run: Run) -> RunSummary:
    """A run in figures."""
    clients = run.trace.clients
    last = max((client.ended for client in clients), default=run.started)
    return RunSummary(
        name=run.experiment.name,
        requests=len(clients),
        ok=len(clients) - len(failures(run)),
        took=last - run.started,
    )


def others(before: Run, after: Run | None, predicted: Iterable[str]) -> tuple[Other, ...]:
    """Failures by causes that no finding predicted, commonest first. `after` None: there was one run."""
    known = set(predicted)
    first, second = (
        [failed for failed in failures(run) if failed.cause not in known] if run is not None else []
        for run in (before, after)
    )
    before_counts, after_counts = (Counter(f.cause for f in found) for found in (first, second))
    return tuple(
        Other(
            cause=cause,
            example=next(f.how for f in (*second, *first) if f.cause == cause),
            before=before_counts[cause],
            after=after_counts[cause],
        )
        for cause, _ in (before_counts + after_counts).most_common()
    )


def faults(
    rows: Sequence[Row], before: Run, after: Run | None, taken_back: Iterable[Run] = ()
) -> tuple[str, ...]:
    """Why the proof does not hold, one sentence each; none when it does."""
    found: list[str] = []
    for one in rows:
        if one.verdict is Verdict.NOT_CURED:
            found.append(f"{one.cause}: {_many(one.after.errors, 'error')} left after the fix")
        elif one.verdict is Verdict.NOT_SEEN:
            number = (one.taken_back or one.before).exposed
            found.append(f"{one.cause}: predicted, but none of {number} exposed requests failed")
    to_show = [one for one in rows if one.verdict is not Verdict.EXPLAINED]
    if to_show and all(one.verdict is Verdict.NOT_SHOWABLE for one in to_show):
        found.append("none of the predicted causes could be shown here, so nothing is proved")
    predicted = [one.cause for one in rows]
    for other in others(before, after, predicted):
        # Where nothing is predicted, there is one run, and nothing may fail in it.
        if other.before and (after is None or other.cause in (UNEXPLAINED, CLIENT_SIDE)):
            when = " before the fix" if after is not None else ""
            found.append(f"{_many(other.before, 'failure')}{when} ({other.cause}): {other.example}")
        if other.after:
            found.append(f"{_many(other.after, 'failure')} after the fix ({other.cause}): {other.example}")
    for run in taken_back:
        found += [
            f"{_many(other.before, 'failure')} in “{run.experiment.name}” ({other.cause}): {other.example}"
            for other in others(run, None, predicted)
            if other.cause in (UNEXPLAINED, CLIENT_SIDE)
        ]
    cut = sum(
        client.failure is ClientFailure.BODY_CUT_SHORT
        for client in (after if after is not None else before).trace.clients
    )
    if cut:
        bodies = "1 body was" if cut == 1 else f"{cut} bodies were"
        found.append(f"{bodies} cut short{' after the fix' if after is not None else ''}")
    return tuple(found)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
