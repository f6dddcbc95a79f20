"""Pre-rendering with the embedded queue: by a server alone, and by workers that are killed."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path

from imgforge.queue import EmbeddedQueue, jobs_of
from imgforge.service import checks
from tests.support.process import wait_for
from tests.support.queue_case import SECRET, QueueCase


class EmbeddedCase(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.settings["QUEUE_PATH"] = str(self.scratch / "queue")


class ServerTests(EmbeddedCase):
    def test_what_is_posted_is_made_before_the_first_visitor_comes(self) -> None:
        server = self.server(PROCESSES="2")
        paths = [self.path(n) for n in range(4)]
        reply = self.post(server, "/render", {"paths": [*paths, self.path(99)]})
        self.assertEqual(reply.status, 202, reply.body)
        answer = json.loads(reply.body)
        self.assertEqual(answer["queued"], 5)
        wait_for(lambda: not self.state(server, answer["id"])["pending"], "the images")
        wait_for(lambda: self.state(server, answer["id"])["done"] == 4, "the last of them")
        state = self.state(server, answer["id"])
        self.assertEqual((state["pending"], state["running"], state["failed"]), (0, 0, 1))
        (failure,) = state["failures"]
        self.assertEqual((failure["path"], failure["reason"][:3]), (self.path(99), "404"))
        self.assert_cached(server, *paths)
        made = 'prerendered_images_total{outcome="done"}'
        wait_for(lambda: server.metric(made) == 4, "the metrics")
        wait_for(lambda: server.metric('prerendered_images_total{outcome="failed"}') == 1, "the failure in the metrics")
        wait_for(lambda: server.metric('prerender_jobs{state="failed"}') == 1, "the gauges")

    def test_every_preset_of_a_source_is_made_and_of_new_objects_too(self) -> None:
        url = self.origin.url("/")
        server = self.server(URL_REPLACEMENTS=f"s3://photos/={url}")
        self.assertEqual(self.post(server, "/render", {"source": self.origin.url("/1.jpg")}).status, 202)
        record = {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "photos"}, "object": {"key": "2.jpg"}},
        }
        removed = {**record, "eventName": "ObjectRemoved:Delete"}
        reply = self.post(server, "/events", {"Records": [record, removed]})
        self.assertEqual((reply.status, json.loads(reply.body)), (202, {"queued": 2}))
        self.wait_until_done(4)
        for number in (1, 2):
            self.assert_cached(server, self.path(number, "pr:thumb"), self.path(number, "rs:fill:24:12/f:webp"))

    def test_senders_without_bearer_tokens_send_the_secret_otherwise(self) -> None:
        server = self.server(RENDER_SECRET="secret", ACCESS_LOG="combined")
        event = b'{"Service": "Amazon S3", "Event": "s3:TestEvent"}'
        basic = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}  # user:secret
        self.assertEqual(server.get("/events", basic, "POST", event).status, 202)
        self.assertEqual(server.get("/events?token=secret", {}, "POST", event).status, 202)
        for target, headers in (
            ("/events", {}),
            ("/events?token=wrong", {}),
            ("/events", {"Authorization": "Basic dXNlcjo="}),
            ("/events", {"Authorization": "Basic !"}),
            ("/render", basic),
        ):
            self.assertEqual(server.get(target, headers, "POST", event).status, 403, target)
        server.assert_logged('"POST /render HTTP/1.1" 403')  # the last line
        self.assertNotIn("token=", server.output())

    def test_what_cannot_be_queued_is_refused_and_nothing_is_queued(self) -> None:
        server = self.server(ALLOWED_SOURCES=self.origin.url("/"))
        good = self.path(1)
        for document, line in (
            ({"paths": [good, "/unsafe/wrong:1/plain/x"]}, "path 2: unknown option"),
            ({"paths": [good, "/unsafe/w:1/plain/http://other/a.jpg"]}, "path 2: this source is not among"),
            ({"paths": []}, "at least one path"),
            ({"paths": [good], "source": good}, "the body must be"),
            ({"paths": [good] * 1001}, "the body"),
            ({"paths": good}, "the body must be"),
            ({"source": "http://other/a.jpg"}, "this source is not among"),
            (b"", "the body must be"),
        ):
            reply = self.post(server, "/render", document)
            self.assertIn(reply.status, {400, 404, 413}, document)
            self.assertIn(line, reply.body.decode())
        self.assertEqual(self.post(server, "/render", b" " * 70000).status, 413)
        created = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "other"}, "object": {"key": "a"}}}
        reply = self.post(server, "/events", {"Records": [created]})
        self.assertEqual(json.loads(reply.body), {"queued": 0})
        self.assertEqual(self.post(server, "/events", {"Records": "x"}).status, 400)
        self.assertEqual(self.render("status")["pending"], 0)
        self.assertEqual(self.post(server, "/render", {"paths": [good]}, Authorization="Bearer x").status, 403)
        self.assertEqual(server.get("/render/x", {"Authorization": f"Bearer {SECRET}"}).status, 404)
        self.assertEqual(server.get("/render/x").status, 403)
        self.assertEqual(server.get("/render").status, 405)

    def test_without_a_secret_it_is_off(self) -> None:
        del self.settings["RENDER_SECRET"]
        server = self.server()
        for path in ("/render", "/events"):
            reply = self.post(server, path, {"paths": [self.path(1)]})
            self.assertEqual(reply.status, 403)
            self.assertIn(b"no IMGFORGE_RENDER_SECRET", reply.body)

    def test_a_visitor_s_image_stops_the_job_under_way(self) -> None:
        server = self.server()
        self.origin.hold()
        self.post(server, "/render", {"paths": [self.path(1)]})
        wait_for(lambda: self.asked == ["/1.jpg"], "the job")
        reply = server.get("/unsafe/w:20/plain/local:///a.jpg")
        self.assertEqual(reply.status, 404)  # what counts is that it had to be looked for
        wait_for(lambda: self.asked == ["/1.jpg"] * 2, "the job to begin anew, when the server is idle")
        self.assertEqual(server.metric('prerendered_images_total{outcome="retried"}'), 0)
        self.origin.release()
        self.wait_until_done(1)
        self.assert_cached(server, self.path(1))


class WorkerTests(EmbeddedCase):
    def test_lines_of_a_file_are_checked_queued_and_made(self) -> None:
        lines = Path(self.scratch, "paths")
        paths = [self.path(n) for n in range(6)]
        lines.write_text("\n".join([*paths, "", f"https://images.example.com{self.path(6)}"]))
        self.assertEqual(self.render("add", "--file", str(lines))["queued"], 7)
        self.assertEqual(self.render("add", "-", given=f"{self.path(7)}\n")["queued"], 1)
        self.assertEqual(self.render("add", "--source", self.origin.url("/8.jpg"))["queued"], 2)
        error = self.render("add", self.path(1), "/unsafe/xyz:1/plain/x", status=1)
        self.assertEqual(error, "imgforge: /unsafe/xyz:1/plain/x: unknown option 'xyz' in 'xyz:1'\n")
        lines.write_text(f"{self.path(1)}\n/x\n")
        self.assertIn("imgforge: line 2: ", self.render("add", "--file", str(lines), status=1))
        report = self.render("run", "--drain")
        self.assertEqual((report["done"], report["failed"]), (10, 0))
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"], status["done"]), (0, 0, 10))
        self.assert_cached(self.server(), *paths, self.path(6), self.path(8, "pr:thumb"))

    def test_what_is_cached_is_not_made_again(self) -> None:
        self.render("add", self.path(1))
        self.render("run", "--drain")
        self.render("add", self.path(1))
        self.assertEqual(self.render("run", "--drain")["done"], 1)
        self.assertEqual(self.asked, ["/1.jpg"])

    def test_the_variant_for_browsers_is_made_unless_another_is_named(self) -> None:
        self.settings |= {"AUTO_WEBP": "true"}
        self.render("add", self.path(1))
        self.render("add", "--accept", "image/jpeg", self.path(2))
        self.assertEqual(self.render("run", "--drain")["done"], 2)
        server = self.server()
        for number, accept, media_type in ((1, "image/webp,*/*", "image/webp"), (2, "*/*", "image/jpeg")):
            reply = server.get(self.path(number), {"Accept": accept})
            self.assertEqual(reply.headers["content-type"], media_type)
            self.assertIn("hit", reply.headers["cache-status"])

    def test_a_fallback_image_is_no_success(self) -> None:
        self.settings["FALLBACK_IMAGE_DATA"] = base64.b64encode(self.origin.files["/1.jpg"]).decode()
        self.render("add", self.path(50))
        self.assertEqual(self.render("run", "--drain", status=1)["failed"], 1)
        self.assertEqual(self.render("status")["failures"][0]["reason"][:3], "404")

    def test_a_job_that_waited_beyond_its_expiry_is_put_aside(self) -> None:
        queue = EmbeddedQueue(self.settings["QUEUE_PATH"])
        queue.add(jobs_of([self.path(1, "exp:1000000000")]))
        queue.close()
        self.assertEqual(self.render("run", "--drain", status=1)["failed"], 1)
        self.assertIn("expired", self.render("status")["failures"][0]["reason"])
        self.assertEqual(self.asked, [])

    def test_a_killed_worker_loses_no_image(self) -> None:
        paths = [self.path(n) for n in range(8)]
        self.render("add", *paths)
        self.origin.hold()
        first = self.worker("--concurrency", "3")
        wait_for(lambda: len(self.asked) == 3, "three images under way")
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        self.origin.release()
        second, third = self.worker("--drain"), self.worker("--drain")
        self.assertEqual((second.wait(60), third.wait(60)), (0, 0))
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"], status["done"], status["failed"]), (0, 0, 8, 0))
        self.assertEqual(set(self.asked), {f"/{n}.jpg" for n in range(8)})
        self.assert_cached(self.server(), *paths)

    def test_drain_fails_where_another_worker_failed_meanwhile(self) -> None:
        self.origin.hold()
        self.render("add", self.path(50))
        other = self.worker("--concurrency", "1")
        wait_for(lambda: len(self.asked) == 1, "the image of the other worker")
        self.render("add", self.path(1))
        draining = self.worker("--drain", "--concurrency", "1")
        wait_for(lambda: len(self.asked) == 2, "the image of the worker that drains")
        self.origin.release()
        self.assertEqual(draining.wait(60), 1)
        other.terminate()
        other.wait(60)
        self.assertEqual(self.render("status")["failed"], 1)
        self.assertEqual(self.worker("--drain").wait(60), 0)

    def test_a_process_of_a_worker_that_is_killed_is_replaced(self) -> None:
        paths = [self.path(n) for n in range(6)]
        self.render("add", *paths)
        self.origin.hold()
        worker = self.worker("--drain", "--concurrency", "2")
        wait_for(lambda: len(self.asked) == 2, "two images under way")
        for child in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.origin.release()
        self.assertEqual(worker.wait(60), 0)
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"], status["done"], status["failed"]), (0, 0, 6, 0))

    def test_a_worker_that_is_told_to_stop_gives_its_images_back(self) -> None:
        self.render("add", self.path(1), self.path(2))
        self.origin.hold()
        worker = self.worker("--concurrency", "2")
        wait_for(lambda: len(self.asked) == 2, "two images under way")
        worker.terminate()
        self.assertEqual(worker.wait(60), 0)
        self.origin.release()
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"]), (2, 0))

    def test_an_origin_that_fails_is_asked_again_and_a_missing_one_is_not(self) -> None:
        def choose(path: str, _: object) -> str:
            self.origin.status = 503 if self.asked == ["/1.jpg"] else 0
            return path

        self.settings["QUEUE_MAX_RETRIES"] = "1"
        self.origin.choose = choose
        self.render("add", self.path(1))
        self.assertEqual(self.worker("--drain").wait(60), 0)
        self.assertEqual(self.asked, ["/1.jpg"] * 2)
        self.render("add", self.path(50), self.path(2))
        self.origin.files["/2.jpg"] = b"no image"
        self.assertEqual(self.render("run", "--drain", status=1)["failed"], 2)
        self.assertEqual(len(self.asked), 4)
        reasons = {failure["path"]: failure["reason"][:3] for failure in self.render("status")["failures"]}
        self.assertEqual(reasons, {self.path(50): "404", self.path(2): "422"})
        self.origin.files |= {"/2.jpg": self.origin.files["/1.jpg"], "/50.jpg": self.origin.files["/1.jpg"]}
        self.assertEqual(self.render("retry"), {"retried": 2})
        self.assertEqual(self.render("run", "--drain")["done"], 2)

    def test_an_accept_header_that_no_browser_sends_is_refused(self) -> None:
        for accept in ("image/webp," * 200, "a\u00fcb", "a\nb"):
            self.assertIn("--accept", self.render("add", "--accept", accept, self.path(1), status=2))

    def test_a_damaged_queue_is_an_error_in_one_line(self) -> None:
        self.render("add", self.path(1))
        next((self.scratch / "queue").glob("*.sqlite")).write_bytes(b"damaged" * 1000)
        for command in (("status",), ("run", "--drain"), ("add", self.path(1)), ("retry",)):
            error = self.render(*command, status=1)
            self.assertRegex(error, r"\Aimgforge: the queue in IMGFORGE_QUEUE_PATH cannot be used .*\n\Z")


class SettingTests(EmbeddedCase):
    def test_what_it_needs_is_said_in_one_line(self) -> None:
        for changes, line in (
            ({"QUEUE_PATH": ""}, "IMGFORGE_RENDER_SECRET needs a queue"),
            ({"QUEUE_PATH": "", "RENDER_SECRET": ""}, "there is no queue: set IMGFORGE_QUEUE_PATH"),
            ({"CACHE_TYPE": "memory"}, "IMGFORGE_QUEUE_PATH needs a cache"),
            ({"CACHE_TYPE": ""}, "IMGFORGE_QUEUE_PATH needs a cache"),
            ({"QUEUE_URL": "redis://127.0.0.1/"}, "are two queues"),
            ({"QUEUE_URL": "http://127.0.0.1/"}, "IMGFORGE_QUEUE_URL"),
            ({"QUEUE_PATH": "/dev/null"}, "IMGFORGE_QUEUE_PATH='/dev/null' must name a directory"),
            ({"PRERENDER_PRESETS": "thumb,nothing"}, "IMGFORGE_PRERENDER_PRESETS has 'nothing'"),
        ):
            kept, self.settings = self.settings, {**self.settings, **changes}
            self.assertIn(line, self.render("status", status=1), changes)
            self.settings = kept

    def test_without_celery_it_is_said_what_to_install(self) -> None:
        self.patch(checks, "find_spec", lambda _name: None)
        self.settings |= {"QUEUE_PATH": "", "QUEUE_URL": "redis://127.0.0.1/"}
        error = self.render("status", status=1)
        self.assertEqual(error, "imgforge: IMGFORGE_QUEUE_URL needs Celery: pip install 'twisted-imgforge[queue]'\n")
