"""What S3 says when it refuses a request: the code, the region that a bucket lies in, and what the operator can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgforge.sources.http import Refusal

__all__ = ["REJECTED_KEYS", "REJECTED_TOKENS", "SKEWED", "S3Error", "s3_error"]

REJECTED_TOKENS = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
REJECTED_KEYS = REJECTED_TOKENS | {"InvalidAccessKeyId"}
SKEWED = frozenset({"RequestTimeTooSkewed"})

# Each is searched for in at most 64 KiB, and ends within a few bytes of where it begins: the time is linear.
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION = re.compile(rb"<Region>([a-z0-9-]{1,64})</Region>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,300})")
_LOCATION = re.compile(rb"<Message>The ([a-z0-9-]{1,64}) location constraint is incompatible")

_ARCHIVED = "the object is archived: restore it, or move it to a storage class that can be read at once"
_DENIED = (
    "the credentials need s3:GetObject on this key (s3:GetObjectVersion for a version, kms:Decrypt where KMS encrypts "
    "it); without s3:ListBucket a missing key looks the same"
)
_ELSEWHERE = "the bucket lies in another region: set IMGFORGE_S3_REGION"
_UNRENEWED = "the session token is not valid, and there is no other: renew it where the credentials come from"
_CURES = {
    "AccessDenied": _DENIED,
    "AllAccessDisabled": "the bucket's account is suspended",
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "ExpiredToken": _UNRENEWED,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "InvalidAccessKeyId": "the store does not know the access key: check AWS_ACCESS_KEY_ID, AWS_PROFILE or the role",
    "InvalidObjectState": _ARCHIVED,
    "InvalidToken": _UNRENEWED,
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": _ELSEWHERE,
    "RequestTimeTooSkewed": "the clock of this machine is wrong: synchronise it",
    "SignatureDoesNotMatch": "the secret key is wrong, or a proxy before the store changes the path or the Host header",
    "SlowDown": "the store throttles this bucket: requests are spread out, and tried again",
    "TokenRefreshRequired": _UNRENEWED,
}
_UNSAID = {301: _ELSEWHERE, 307: _ELSEWHERE, 403: _DENIED}  # where there is no body to tell
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion"})


@dataclass(frozen=True, slots=True)
class S3Error:
    """A refusal, read."""

    code: str  # "" where there is none
    region: str  # that the bucket lies in, as the store says; "" where it does not
    message: str  # printable ASCII

    def explain(self, status: int) -> str:
        """A line for the operator's log; "" for what needs none, a key that is missing."""
        if self.code in _MISSING or (status == 404 and not self.code):
            return ""
        if not self.code:
            return _UNSAID.get(status, "")
        return f"{self.code}: {_CURES.get(self.code) or self.message or 'the store gives no reason'}"


def s3_error(refusal: Refusal) -> S3Error:
    """What *refusal* says; of a body that is no error of S3, nothing."""
    body = refusal.body
    region = refusal.headers.get("x-amz-bucket-region") or _first(_REGION, body) or _first(_LOCATION, body)
    message = "".join(letter for letter in _first(_MESSAGE, body) if letter.isprintable())
    return S3Error(_first(_CODE, body), region, message)


def _first(pattern: re.Pattern[bytes], body: bytes) -> str:
    match = pattern.search(body)
    return match[1].decode("ascii", "ignore") if match else ""
