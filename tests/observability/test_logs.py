"""Log lines: one line for each event, whatever it contains, with the id of its request."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextvars import copy_context

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.observability import (
    RequestRecord,
    bind_request,
    current_request_id,
    keeping_request_id,
    make_observer,
    parse_level_spec,
)


class LogCase(SynchronousTestCase):
    def log(
        self, levels: str = "debug", *, form: str = "text", namespace: str = "imgforge.test"
    ) -> tuple[Logger, io.StringIO]:
        stream = io.StringIO()
        observer = make_observer(stream, levels=parse_level_spec(levels), form=form)
        return Logger(namespace=namespace, observer=observer), stream


class LineTests(LogCase):
    def test_text_line(self) -> None:
        log, stream = self.log()
        log.warn("{count} things", count=3)
        self.assertRegex(stream.getvalue(), r"^\d{4}-\d\d-\d\dT[\d:.]+Z warn  imgforge.test 3 things\n$")

    def test_json_line(self) -> None:
        log, stream = self.log(form="json")
        log.info("{count} things", count=3)
        line = json.loads(stream.getvalue())
        self.assertEqual((line["level"], line["message"], line["count"]), ("info", "3 things", 3))

    def test_field_equal_to_the_message_is_not_repeated(self) -> None:
        log, stream = self.log(form="json")
        log.info("{status}: {line}", status=404, line="no such source")
        line = json.loads(stream.getvalue())
        self.assertEqual((line["message"], line["status"]), ("404: no such source", 404))
        self.assertNotIn("line", line)

    def test_namespace_is_the_package_without_our_modules(self) -> None:
        for namespace, shown in (
            ("imgforge.service.twistd_command.ImgforgeService", "imgforge.service"),
            ("imgforge.web.site._Channel", "imgforge.web"),
            ("imgforge.cli", "imgforge.cli"),
            ("some._private.thing", "some._private.thing"),
            ("log_legacy", "twisted"),
        ):
            log, stream = self.log(namespace=namespace)
            log.info("m")
            self.assertTrue(stream.getvalue().endswith(f" {shown} m\n"), stream.getvalue())

    def test_failure_is_logged_with_its_traceback(self) -> None:
        for form in ("text", "json", "gcp", "structured"):
            log, stream = self.log(form=form)
            try:
                1 / 0  # noqa: B018
            except ZeroDivisionError:
                log.failure("it broke")
            self.assertIn("it broke: division by zero", stream.getvalue())
            self.assertIn("Traceback", stream.getvalue())

    @given(st.text())
    def test_request_ids_cannot_add_a_line(self, identity: str) -> None:
        log, stream = self.log()
        log.info("m", request_id=identity)
        self.assertEqual(len(stream.getvalue().splitlines()), 1)

    def test_numbers_that_json_lacks_are_texts(self) -> None:
        log, stream = self.log(form="json")
        log.info("m", ratio=float("nan"), limit=float("inf"), count=1.5)

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        line = json.loads(stream.getvalue(), parse_constant=refuse)
        self.assertEqual((line["ratio"], line["limit"], line["count"]), ("nan", "inf", 1.5))

    @given(st.text())
    def test_values_cannot_add_a_line(self, value: str) -> None:
        for form in ("text", "json", "gcp", "structured"):
            log, stream = self.log(form=form)
            log.info("{value}", value=value)
            self.assertEqual(len(stream.getvalue().splitlines()), 1)


class LevelTests(LogCase):
    def passed(self, levels: str, namespace: str = "imgforge.test") -> str:
        log, stream = self.log(levels, namespace=namespace)
        log.debug("d")
        log.info("i")
        log.error("e")
        return "".join(line[-1] for line in stream.getvalue().splitlines())

    def test_levels_by_namespace(self) -> None:
        for levels, lines in (
            ("info", "ie"),
            ("debug", "die"),
            ("error", "e"),
            ("error,imgforge=debug", "die"),
            ("imgforge.test=error,imgforge=debug", "e"),
            ("imgforge.te=debug", "ie"),
            ("treq=debug", "ie"),
        ):
            self.assertEqual(self.passed(levels), lines, levels)

    def test_twisted_is_quiet_by_default(self) -> None:
        for levels, lines in (
            ("info", "e"),
            ("debug", "die"),
            ("twisted=info", "ie"),
            ("twisted.web=debug,warn", "die"),
        ):
            self.assertEqual(self.passed(levels, "twisted.web.http"), lines, levels)
        self.assertEqual(self.passed("info", "log_legacy"), "e")

    def test_unknown_level_is_named_in_the_error(self) -> None:
        with self.assertRaisesRegex(ValueError, "'loud'"):
            parse_level_spec("imgforge=debug,loud")


class RequestIdTests(TestCase):
    async def test_id_follows_coroutines_and_callbacks_of_its_request_only(self) -> None:
        seen: dict[str, list[str]] = {}

        async def work(identity: str) -> None:
            seen[identity] = [current_request_id()]
            await deferLater(reactor, 0.01)
            seen[identity].append(current_request_id())
            await deferToThread(lambda: None)
            seen[identity].append(current_request_id())

        def start(identity: str) -> Deferred[None]:
            bind_request(RequestRecord(identity))
            return Deferred.fromCoroutine(work(identity))

        running = [copy_context().run(start, identity) for identity in ("a", "b", "c")]
        for one in running:
            await one
        self.assertEqual(seen, {identity: [identity] * 3 for identity in ("a", "b", "c")})
        self.assertEqual(current_request_id(), "")

    def test_callback_has_the_id_it_was_made_with_and_restores_the_callers(self) -> None:
        seen: list[str] = []

        def make() -> Callable[[str], None]:
            bind_request(RequestRecord("mine"))
            return keeping_request_id(lambda word: seen.append(f"{word} {current_request_id()}"))

        def call(callback: Callable[[str], None]) -> None:
            bind_request(RequestRecord("another's"))
            callback("done for")
            seen.append(current_request_id())

        copy_context().run(call, copy_context().run(make))
        self.assertEqual(seen, ["done for mine", "another's"])
