"""A request's record has the work that it waited for, shared by equal requests, also where that failed."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from imgforge.errors import SourceMissing
from imgforge.model import InfoRequest
from imgforge.observability import RequestRecord, Stage
from imgforge.pipeline import CachedResult, Pipeline
from tests.support.pipeline_case import PNG, PipelineCase

ALL = {Stage.FETCH, Stage.WAIT, Stage.PROCESS}


class WorkRecordTests(PipelineCase):
    def ask(self, pipeline: Pipeline) -> tuple[RequestRecord, Deferred[CachedResult]]:
        record = RequestRecord()
        return record, Deferred.fromCoroutine(pipeline.image(self.request(), record=record))

    async def test_equal_requests_under_way_share_a_record_and_a_hit_has_an_empty_one(self) -> None:
        pipeline = self.pipeline()
        self.photo.held = Deferred()
        asked = [self.ask(pipeline) for _ in range(2)]
        self.clock.ahead += 3.0
        self.photo.held.callback(None)
        for _, result in asked:
            await result
        (first, _), (second, _) = asked
        self.assertIs(first.work, second.work)
        self.assertEqual((first.work.seconds.keys(), first.work.bytes_in), (ALL, len(PNG)))
        self.assertEqual(first.work.seconds[Stage.FETCH], 3.0)
        hit, result = self.ask(pipeline)
        await result
        self.assertEqual((hit.work.timings(), hit.work.bytes_in), ((), 0))
        self.assertEqual([step.name for step in hit.steps], ["cache"])
        self.assertEqual(
            [step.name for step in first.steps], ["cache", "attempt", Stage.FETCH, "encode", Stage.WAIT, Stage.PROCESS]
        )
        self.assertEqual(first.steps[0].attributes, {"cache": "memory", "hit": False})
        self.assertEqual(hit.steps[0].attributes, {"cache": "memory", "hit": True, "tier": "memory", "state": "fresh"})
        fetch = first.steps[2]
        self.assertEqual((fetch.ended - fetch.began, fetch.error), (3.0, None))

    async def test_work_that_begins_later_has_a_record_of_its_own(self) -> None:
        pipeline = self.pipeline(results=False)
        first, result = self.ask(pipeline)
        await result
        second, result = self.ask(pipeline)
        await result
        self.assertIsNot(first.work, second.work)

    async def test_a_failed_request_has_the_seconds_of_its_fetch(self) -> None:
        self.photo.status = "404 Not Found"
        record, result = self.ask(self.pipeline())
        await self.assertFailure(result, SourceMissing)
        self.assertEqual(record.work.seconds.keys(), {Stage.FETCH})
        self.assertIsInstance(record.work.steps[-1].error, SourceMissing)

    async def test_info_requests_have_a_record_too(self) -> None:
        record = RequestRecord()
        await self.pipeline().info(InfoRequest(self.url), record=record)
        self.assertEqual((record.work.seconds.keys(), record.work.bytes_in), (ALL, len(PNG)))
