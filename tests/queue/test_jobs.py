"""Jobs as documents: what is taken out of a queue, pauses, names of requests."""

from __future__ import annotations

import contextlib
import pickle

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.queue import RenderJob, backoff, new_request_id, read_job
from imgforge.queue.jobs import is_request_id, oldest_request_id, total_of, write_job


class DocumentTests(SynchronousTestCase):
    def test_a_job_is_read_as_it_was_written(self) -> None:
        job = RenderJob("/sig/w:1/plain/http://a/ü.jpg", new_request_id(3), "image/webp").tried().failed("503:\n late")
        self.assertEqual(read_job(write_job(job)), job)
        self.assertEqual((job.tries, job.reason), (1, "503: late"))
        self.assertEqual(job.fresh(), RenderJob(job.path, job.request, "image/webp"))

    def test_what_is_no_job_is_refused(self) -> None:
        for document in (
            b"",
            b"[]",
            b"{}",
            b'{"path": 1}',
            b'{"path": "/a", "tries": -1}',
            b'{"path": "/a", "request": "../../x"}',
            b'{"path": "/a", "request": "' + new_request_id(1).encode() + b'\\n"}',
            b'{"path": "/a", "callable": "os.system"}',
            b'{"path": "' + b"a" * 20000 + b'"}',
            b"[" * 100000,
            pickle.dumps({"path": "/a"}),
        ):
            self.assertRaises(ValueError, read_job, document)

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_anything_but_value_error(self, document: bytes) -> None:
        with contextlib.suppress(ValueError):
            read_job(document)


class PauseTests(SynchronousTestCase):
    def test_pauses_double_up_to_a_minute(self) -> None:
        self.assertEqual([backoff(tries) for tries in (1, 2, 3, 5, 6, 7, 10**9)], [2, 4, 8, 32, 60, 60, 60])


class RequestTests(SynchronousTestCase):
    def test_names_tell_how_many_images_and_sort_by_time(self) -> None:
        name = new_request_id(250)
        self.assertTrue(is_request_id(name))
        self.assertEqual(total_of(name), 250)
        self.assertNotEqual(name, new_request_id(250))
        self.assertLess(oldest_request_id(4e12 / 1e3, 1e9), oldest_request_id(4e12 / 1e3, 0))
        for other in ("", "x", name.upper(), f"{name}\n", f"{name}/.."):
            self.assertFalse(is_request_id(other))
