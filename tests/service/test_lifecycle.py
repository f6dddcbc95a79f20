"""The order in which services start and stop, and calls that are repeated in between."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.lifecycle import Component, OrderedServices, PeriodicCall


class OrderedServicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[str] = []
        self.stops = {name: Deferred[None]() for name in "abc"}
        self.services = OrderedServices()
        for name in "abc":
            self.services.addService(self.component(name))
        self.services.startService()

    def component(self, name: str) -> Component:
        def stop() -> Deferred[None]:
            self.events.append(f"stop {name}")
            return self.stops[name]

        return Component(name, start=lambda: self.events.append(f"start {name}"), stop=stop)

    def test_services_start_in_the_order_in_which_they_were_added(self) -> None:
        self.assertEqual(self.events, ["start a", "start b", "start c"])

    def test_each_service_stops_after_the_one_that_was_added_behind_it(self) -> None:
        self.events.clear()
        stopped = self.services.stopService()
        for name, events in (("c", ["stop c"]), ("b", ["stop c", "stop b"]), ("a", ["stop c", "stop b", "stop a"])):
            self.assertEqual(self.events, events)
            self.assertNoResult(stopped)
            self.stops[name].callback(None)
        self.successResultOf(stopped)
        self.assertFalse(self.services.running)

    def test_service_that_fails_to_stop_does_not_keep_the_others_running(self) -> None:
        stopped = self.services.stopService()
        self.stops["c"].errback(OSError("no"))
        self.stops["b"].callback(None)
        self.stops["a"].callback(None)
        self.successResultOf(stopped)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class PeriodicCallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0
        self.broken = False

    def call(self) -> None:
        self.calls += 1
        if self.broken:
            raise RuntimeError("broken")

    def started(self, *, finally_too: bool = False) -> PeriodicCall:
        service = PeriodicCall(self.clock, 2.0, self.call, "it is broken", finally_too=finally_too)
        service.startService()
        return service

    def test_it_calls_at_the_start_and_after_each_interval(self) -> None:
        self.started()
        self.assertEqual(self.calls, 1)
        self.clock.pump([1.0] * 4)
        self.assertEqual(self.calls, 3)

    def test_no_call_follows_the_stop(self) -> None:
        self.successResultOf(self.started().stopService())
        self.clock.advance(10)
        self.assertEqual((self.calls, self.clock.getDelayedCalls()), (1, []))

    def test_last_call_is_made_at_the_stop_where_that_is_asked_for(self) -> None:
        self.successResultOf(self.started(finally_too=True).stopService())
        self.assertEqual(self.calls, 2)

    def test_failure_is_logged_once_until_a_call_works_again(self) -> None:
        self.started()
        for broken, failures in ((True, 1), (True, 0), (False, 0), (True, 1)):
            self.broken = broken
            self.clock.advance(2.0)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), failures)
        self.assertEqual(self.calls, 5)
