"""The notifications of stores, as their documentation shows them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.queue import NotAnEvent, created_objects


def s3(event: str, key: str, bucket: str = "photos", source: str = "aws:s3") -> dict[str, Any]:
    """A record of S3 (docs.aws.amazon.com/AmazonS3, "Event message structure")."""
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "awsRegion": "us-west-2",
        "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "imgforge",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6D"},
        },
    }


def urls(document: object) -> list[str]:
    return list(created_objects(json.dumps(document).encode()))


class S3Tests(SynchronousTestCase):
    def test_created_objects_are_named_and_others_are_not(self) -> None:
        records = [
            s3("ObjectCreated:Put", "a.jpg"),
            s3("ObjectCreated:CompleteMultipartUpload", "dir/b.jpg"),
            s3("ObjectRemoved:Delete", "c.jpg"),
            s3("ObjectTagging:Put", "d.jpg"),
            s3("ObjectCreated:Put", "a.jpg"),
        ]
        self.assertEqual(urls({"Records": records}), ["s3://photos/a.jpg", "s3://photos/dir/b.jpg"])

    def test_keys_are_decoded_as_s3_encodes_them(self) -> None:
        self.assertEqual(
            urls({"Records": [s3("ObjectCreated:Put", "my+photo%2B1/%C3%BC.jpg")]}), ["s3://photos/my photo+1/ü.jpg"]
        )

    def test_minio_sends_the_same_with_a_prefix(self) -> None:
        record = s3("s3:ObjectCreated:Put", "a.jpg", source="minio:s3")
        document = {"EventName": "s3:ObjectCreated:Put", "Key": "photos/a.jpg", "Records": [record]}
        self.assertEqual(urls(document), ["s3://photos/a.jpg"])

    def test_the_test_event_is_taken_and_means_nothing(self) -> None:
        self.assertEqual(urls({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}), [])

    def test_sns_wraps_it(self) -> None:
        inner = json.dumps({"Records": [s3("ObjectCreated:Copy", "a.jpg")]})
        self.assertEqual(urls({"Type": "Notification", "Message": inner}), ["s3://photos/a.jpg"])
        self.assertEqual(urls({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns/"}), [])
        twice = json.dumps({"Type": "Notification", "Message": inner})
        self.assertRaises(NotAnEvent, urls, {"Type": "Notification", "Message": twice})

    def test_event_bridge_does_not_encode_keys(self) -> None:
        detail = {"bucket": {"name": "photos"}, "object": {"key": "a+b.jpg"}}
        document = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        self.assertEqual(urls(document), ["s3://photos/a+b.jpg"])
        self.assertEqual(urls({**document, "detail-type": "Object Deleted"}), [])


class GoogleTests(SynchronousTestCase):
    def test_pub_sub_pushes_finalized_objects(self) -> None:
        attributes = {"eventType": "OBJECT_FINALIZE", "bucketId": "photos", "objectId": "a b.jpg"}
        document: dict[str, Any] = {
            "message": {"attributes": attributes, "data": "e30=", "messageId": "1"},
            "subscription": "s",
        }
        self.assertEqual(urls(document), ["gs://photos/a b.jpg"])
        document["message"] = {"attributes": {**attributes, "eventType": "OBJECT_DELETE"}}
        self.assertEqual(urls(document), [])


class HostileTests(SynchronousTestCase):
    def test_other_documents_are_refused(self) -> None:
        created = s3("ObjectCreated:Put", "a.jpg")
        documents: list[object] = [
            [],
            {},
            {"Records": 1},
            {"Records": [1]},
            {"Records": [created] * 1001},
            {"Records": [{**created, "s3": None}]},
            {"Records": [s3("ObjectCreated:Put", "a\n.jpg")]},
            {"Records": [s3("ObjectCreated:Put", "%ff.jpg")]},
            {"Records": [s3("ObjectCreated:Put", "")]},
            {"Records": [s3("ObjectCreated:Put", "x" * 1025)]},
            {"Records": [s3("ObjectCreated:Put", "a.jpg", bucket="evil/..")]},
            {"Records": [s3("ObjectCreated:Put", "a.jpg", bucket="u@h")]},
            {"Type": "Notification", "Message": "nothing"},
            {"message": {"attributes": None}},
        ]
        for document in documents:
            self.assertRaises(NotAnEvent, urls, document)
        for body in (b"", b"\xff", b"[" * 100000, b'{"a":' * 100000):
            self.assertRaises(NotAnEvent, created_objects, body)

    @given(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["Records", "s3", "message", "Type"]), inner)
            ),
        )
    )
    def test_no_document_raises_anything_else(self, document: object) -> None:
        with contextlib.suppress(NotAnEvent):
            urls(document)
