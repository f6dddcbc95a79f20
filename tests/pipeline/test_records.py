"""What a request waited for is in its record: shared by those that waited for the same, whether it went well or not."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from imgforge.errors import SourceMissing
from imgforge.model import InfoRequest
from imgforge.observability import RequestRecord, Stage
from imgforge.pipeline import CachedResult, Pipeline
from tests.support.pipeline_case import PNG, PipelineCase

ALL = {Stage.FETCH, Stage.WAIT, Stage.PROCESS}


class RecordTests(PipelineCase):
    def ask(self, pipeline: Pipeline) -> tuple[RequestRecord, Deferred[CachedResult]]:
        record = RequestRecord()
        return record, Deferred.fromCoroutine(pipeline.image(self.request(), record=record))

    async def test_equal_requests_under_way_share_one_and_a_hit_has_none(self) -> None:
        pipeline = self.pipeline()
        self.photo.held = Deferred()
        asked = [self.ask(pipeline) for _ in range(2)]
        self.clock.ahead += 3.0
        self.photo.held.callback(None)
        for _, served in asked:
            await served
        (first, _), (second, _) = asked
        self.assertIs(first.work, second.work)
        self.assertEqual((first.work.seconds.keys(), first.work.bytes_in), (ALL, len(PNG)))
        self.assertEqual(first.work.seconds[Stage.FETCH], 3.0)
        hit, served = self.ask(pipeline)
        await served
        self.assertEqual((hit.work.timings(), hit.work.bytes_in), ((), 0))

    async def test_work_that_begins_later_has_a_record_of_its_own(self) -> None:
        pipeline = self.pipeline(results=False)
        first, served = self.ask(pipeline)
        await served
        second, served = self.ask(pipeline)
        await served
        self.assertIsNot(first.work, second.work)

    async def test_a_failure_has_the_time_that_it_took(self) -> None:
        self.photo.status = "404 Not Found"
        record, served = self.ask(self.pipeline())
        await self.assertFailure(served, SourceMissing)
        self.assertEqual(record.work.seconds.keys(), {Stage.FETCH})

    async def test_infos_have_one_too(self) -> None:
        record = RequestRecord()
        await self.pipeline().info(InfoRequest(self.url), record)
        self.assertEqual((record.work.seconds.keys(), record.work.bytes_in), (ALL, len(PNG)))
