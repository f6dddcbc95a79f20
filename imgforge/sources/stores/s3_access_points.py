"""Access points of S3, by their ARNs (Amazon Resource Names)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["AccessPoint", "access_point"]

_NAME = r"([a-z0-9][a-z0-9-]{0,61}[a-z0-9])"
_ARN = re.compile(r"arn:aws[a-z-]*:(s3|s3-object-lambda|s3-outposts):([a-z0-9-]*):([0-9]{12}):(.{1,200})")
_POINT = re.compile(rf"accesspoint[:/]{_NAME}")
_OUTPOST = re.compile(rf"outpost[:/]{_NAME}[:/]accesspoint[:/]{_NAME}")
_HOSTS = {"s3": "s3-accesspoint", "s3-object-lambda": "s3-object-lambda", "s3-outposts": "s3-outposts"}


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """A name of its own for a bucket, with a host and a policy of its own."""

    labels: str  # "name-account", and after a dot the outpost
    host: str  # the label after those
    region: str
    service: str  # that requests are signed for


def access_point(text: str) -> AccessPoint | str:
    """The access point with the ARN *text*; text that is no ARN is a bucket's name or alias.

    `ValueError` for an ARN that does not name an access point, or names one that this server cannot sign for.
    """
    if not text.startswith("arn:"):
        return text
    arn = _ARN.fullmatch(text)
    if arn is None:
        raise ValueError(
            "this is no ARN of an S3 access point, such as arn:aws:s3:eu-west-1:123456789012:accesspoint/x"
        )
    service, region, account, resource = arn.groups()
    if not region:
        raise ValueError(
            "multi-region access points need signatures (SigV4A) that imgforge cannot make: name a region's"
        )
    if service == "s3-outposts":
        match = _OUTPOST.fullmatch(resource)
        labels = f"{match[2]}-{account}.{match[1]}" if match else ""
    else:
        match = _POINT.fullmatch(resource)
        labels = f"{match[1]}-{account}" if match else ""
    if match is None:
        raise ValueError(f"{resource!r} is no access point, such as accesspoint/x")
    return AccessPoint(labels, _HOSTS[service], region, service)
