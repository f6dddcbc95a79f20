"""What stores say about new objects: the notifications of S3, MinIO, EventBridge and Google Cloud Storage.

| sender | form |
|---|---|
| S3, MinIO | `{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name"}, "object": {"key"}}}]}` |
| SNS | `{"Type": "Notification", "Message": "<the above>"}` |
| EventBridge | `{"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": ..., "object": ...}}` |
| Pub/Sub push | `{"message": {"attributes": {"eventType": "OBJECT_FINALIZE", "bucketId", "objectId"}}}` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec

__all__ = ["NotAnEvent", "created_objects"]

_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_KEY = 1024  # bytes, at S3 and at Google
_MOST_RECORDS = 1000

_read = msgspec.json.Decoder(dict[str, Any]).decode


class NotAnEvent(ValueError):
    """A document that no store sends."""


def created_objects(body: bytes) -> tuple[str, ...]:
    """The URLs of the objects that the notification *body* says were created; none for deletions and test events.

    `NotAnEvent` for a document of another form.
    """
    return tuple(dict.fromkeys(_urls(_document(body), wrapped=False)))


def _document(body: bytes | str) -> dict[str, Any]:
    try:
        return _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotAnEvent("the body is not a JSON object") from None


def _urls(document: dict[str, Any], *, wrapped: bool) -> Iterator[str]:
    for applies, read in _FORMS:
        if applies(document):
            yield from read(document)
            return
    if document.get("Type") == "Notification" and not wrapped:
        yield from _urls(_document(_text(document, "Message")), wrapped=True)
    elif document.get("Type") not in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        raise NotAnEvent("the body is no notification of S3, MinIO, SNS, EventBridge or Pub/Sub")


def _records(document: dict[str, Any]) -> Iterator[str]:
    records = document["Records"]
    if not isinstance(records, list) or len(records) > _MOST_RECORDS:
        raise NotAnEvent(f"Records must be a list of at most {_MOST_RECORDS}")
    for record in records:
        if _text(record, "eventName").startswith(_CREATED):
            s3 = _object(record, "s3")
            key = unquote_plus(_text(_object(s3, "object"), "key"), errors="surrogateescape")
            yield _url("s3", _text(_object(s3, "bucket"), "name"), key)


def _event_bridge(document: dict[str, Any]) -> Iterator[str]:
    if document.get("detail-type") == "Object Created":
        detail = _object(document, "detail")
        yield _url("s3", _text(_object(detail, "bucket"), "name"), _text(_object(detail, "object"), "key"))


def _pub_sub(document: dict[str, Any]) -> Iterator[str]:
    attributes = _object(_object(document, "message"), "attributes")
    if _text(attributes, "eventType") == "OBJECT_FINALIZE":
        yield _url("gs", _text(attributes, "bucketId"), _text(attributes, "objectId"))


_Form = tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Iterator[str]]]
_FORMS: tuple[_Form, ...] = (
    (lambda document: "Records" in document, _records),
    (lambda document: document.get("source") == "aws.s3", _event_bridge),
    (lambda document: "message" in document, _pub_sub),
    (lambda document: document.get("Event") == "s3:TestEvent", lambda _: iter(())),
)


def _object(parent: Any, name: str) -> dict[str, Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, dict):
        raise NotAnEvent(f"the notification has no object {name!r}")
    return found


def _text(parent: Any, name: str) -> str:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, str):
        raise NotAnEvent(f"the notification has no text {name!r}")
    return found


def _url(scheme: str, bucket: str, key: str) -> str:
    """The source of the object *key*, in the bytes that the store has; keys that no URL can have are no event."""
    try:
        length = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise NotAnEvent("the key of the object is not UTF-8") from None
    if not _BUCKET.fullmatch(bucket):
        raise NotAnEvent("the notification names no bucket")
    if not 0 < length <= _LONGEST_KEY or _CONTROL.search(key):
        raise NotAnEvent("the notification names no usable key")
    return f"{scheme}://{bucket}/{key}"
