"""What boto3 raises, as errors of ours: what happened, where, and what to do next.

Codes: S3 API reference, "Error responses"; ECS, Elastic Load Balancing and Athena API references, "Common
errors". IAM actions: Service Authorization Reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign.errors import KeepalignError, NoAccess, ReadError, UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was about.

    Args:
        action: the IAM action that permits it: "s3:ListBucket".
        place: what it is about, as the user knows it: "s3://bucket/key", "ECS service prod/orders".
        resource: the ARN that the permission must cover; "*" where the action knows no resource.
    """

    action: str
    place: str
    resource: str = "*"


_LOG_IN: Final = (
    "give credentials as for the AWS command line: --profile NAME, AWS_PROFILE, AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY, or a role of the machine"
)
_AGAIN: Final = "log in again (aws sso login --profile NAME), or renew the session's keys, and repeat"
_NO_CREDENTIALS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError"}
)
_EXPIRED_LOGIN: Final = frozenset(
    {
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "SSOError",
        "LoginRefreshRequired",
    }
)
_UNREACHABLE: Final = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "HTTPClientError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "SSLError",
    }
)
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_UNKNOWN_KEYS: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_DENIED: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "UnauthorizedAccess",
        "UnauthorizedOperation",
        "Forbidden",
        "NotAuthorized",
    }
)
_THROTTLED: Final = frozenset(
    {
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_ELSEWHERE: Final = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_GONE: Final = frozenset({"404", "NoSuchKey"})


def translated(error: Exception, asked: Asked) -> KeepalignError:
    """The error to raise in place of `error`, which boto3 raised."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _refused(error, asked)
    name, place = type(error).__name__, asked.place
    # One line: some of these quote whole documents.
    text = " ".join(str(error).split())[:300]
    if name in _NO_CREDENTIALS:
        return NoAccess("no AWS credentials were found", file=place, hint=_LOG_IN)
    if name in _EXPIRED_LOGIN:
        return NoAccess(f"the login is not valid any more: {text}", file=place, hint=_AGAIN)
    if name == "ProfileNotFound":
        return UsageError(text, hint="aws configure list-profiles names those that there are")
    if name in ("NoRegionError", "InvalidRegionError"):
        return UsageError(
            f"{place}: {text}", hint="say --region, such as --region eu-central-1, or set AWS_REGION"
        )
    if name in _UNREACHABLE:
        hint = "is there a way to AWS from here (proxy, VPN, DNS)? Are --region and --endpoint-url right?"
        return ReadError(f"it cannot be reached: {text}", file=place, hint=hint)
    if name == "ParamValidationError":
        return UsageError(f"{place}: {text}")
    if isinstance(error, ValueError):
        return UsageError(text, hint="--endpoint-url is a URL such as http://127.0.0.1:5000")
    return ReadError(f"{name}: {text}", file=place)


def code_of(error: BaseException | None) -> str:
    """The service's own code, "NoSuchKey"; empty when it is no answer of a service."""
    from botocore.exceptions import ClientError

    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


def denied(error: BaseException | None) -> bool:
    """Whether a service knows who asks and does not permit it."""
    return code_of(error) in _DENIED


def _refused(error: Exception, asked: Asked) -> KeepalignError:
    """What a service answered instead of what was asked for."""
    from botocore.exceptions import ClientError

    assert isinstance(error, ClientError)
    place, code = asked.place, code_of(error)
    text = " ".join(error.response.get("Error", {}).get("Message", "").split())[:300]
    said = f"{code}: {text}" if text and text != code else code
    if code in _EXPIRED:
        return NoAccess(f"the credentials have expired ({said})", file=place, hint=_AGAIN)
    if code in _UNKNOWN_KEYS:
        return NoAccess(f"AWS does not know these credentials ({said})", file=place, hint=_LOG_IN)
    if code in _SKEWED:
        hint = "set this machine's clock; AWS refuses requests that are more than 15 minutes off"
        return NoAccess(f"this machine's clock is wrong ({said})", file=place, hint=hint)
    if code.startswith("KMS.") or (code in _DENIED and "kms:" in text.lower()):
        hint = "allow kms:Decrypt on the key that the object was encrypted with, in its key policy, too"
        return NoAccess(f"its key does not decrypt for these credentials ({said})", file=place, hint=hint)
    if code in _DENIED:
        on = f" on {asked.resource}" if asked.resource != "*" else ""
        hint = f"allow {asked.action}{on}; in another account's bucket its policy must say so, too"
        return NoAccess(f"access denied ({said})", file=place, hint=hint)
    if code == "NoSuchBucket":
        hint = "the name of the bucket is the part after s3://; aws s3 ls shows yours"
        return ReadError("there is no such bucket", file=place, hint=hint)
    if code in _GONE:
        hint = "list what there is: aws s3 ls " + place.rpartition("/")[0] + "/"
        return ReadError("there is no such object", file=place, hint=hint)
    if code.endswith(("NotFoundException", "NotFound")):
        hint = "is the name right, and --region the one that it is in?"
        return ReadError(f"it is not there ({said})", file=place, hint=hint)
    if code in _ELSEWHERE:
        return ReadError(f"the bucket is in another region ({said})", file=place, hint="say --region REGION")
    if code in ("PreconditionFailed", "412"):
        hint = "run it again: the listing is older than the object"
        return ReadError("the object was replaced meanwhile", file=place, hint=hint)
    if code == "InvalidObjectState":
        hint = "restore it first: aws s3api restore-object"
        return ReadError(f"the object is archived ({said})", file=place, hint=hint)
    if code in _THROTTLED:
        return ReadError(f"AWS throttles these requests ({said})", file=place, hint="try again in a minute")
    return ReadError(f"AWS refused it ({said})", file=place)
