"""Check, run, fix, run, verdict: makes the predicted faults happen, and shows that the fix ends them.

    traffic     an open-loop load that exposes requests to every predicted cause
    attribute   names the mechanism behind every failed request of a run, from what was done and seen
    exposure    which requests a cause could have hit
    verdict     from runs to a verdict per cause, with counts, and why a proof does not hold
    predict     the error rate in life, in closed form
    proof       the runs (stack, set of edits), put together
    example     the packaged copy of the story's stack

It knows causes and ladders, and no product: how servers are run is `lab.recipes`.
"""
