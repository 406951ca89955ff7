"""A Lambda function behind the balancer answers in time and in the form that the balancer expects.

## What it is

The target is a Lambda function, and calling it failed: it raised, timed out, was throttled, or returned
something that is no HTTP response (a numeric header, more than 1 MB). The balancer answers 502. There is no
connection to a target, so no keep-alive or idle timeout is involved.

## Why it happens

    0 s       the balancer calls the function with the request as an event
    3.000 s   the function ends with an error, or its own timeout of 3 s (the default) ends it
    3.012 s   the balancer answers 502 and writes the reason into the log

A Lambda service that does not take the call within the connect timeout is a 504, a request body of more than
1 MB a 413.

## In the log

    http 2026-11-22T10:15:33.012000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    - 0.000 0.001 0.000 502 - 187 277 "GET http://www.example.com:80/orders …

There is no target, and `error_reason` further on in the line begins with `Lambda`.

## What decides

`error_reason` names it: `LambdaUnhandled` and `LambdaInvalidResponse` are the function's own faults
(`LambdaUserError` in CloudWatch); `LambdaThrottling`, `LambdaAccessDenied` and the `LambdaEC2…` ones are the
service's or the set-up's.

## What helps

| `error_reason` | do |
| --- | --- |
| `LambdaUnhandled` | read the function's log of that second |
| `LambdaInvalidResponse` | return statusCode and body, header values as text |
| `LambdaResponseTooLarge` | keep the response within 1 MB |
| `LambdaThrottling` | raise the concurrency of the function or of the account |
| `LambdaAccessDenied` | let elasticloadbalancing.amazonaws.com invoke the function |

## Sources

- Elastic Load Balancing, "Access logs", `error_reason` codes:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
- Elastic Load Balancing, "Lambda functions as targets":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="lambda-error",
    since="0.1.0",
    page=__doc__ or "",
    next_command='aws logs tail "/aws/lambda/$FUNCTION" --since 1h',
    no_scenario="the lab runs servers, not Lambda functions",
)
