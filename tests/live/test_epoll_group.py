"""A server with its connections in an epoll group, and one without: the answers are the same."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.support.process import Twistd
from tests.support.service_case import ServiceCase

IMAGE = "/unsafe/rs:fit:20:20/plain/sample://logo@png"


def epolls(server: Twistd) -> int:
    """How many epoll instances the process of *server* has."""
    assert server.process is not None
    count = 0
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += os.readlink(entry) == "anon_inode:[eventpoll]"
    return count


class EpollGroupTests(ServiceCase):
    def test_switched_off_the_reactor_reads_from_all_connections_and_answers_the_same(self) -> None:
        bodies = set()
        for value, instances in (("false", 1), ("true", 2)):
            server = self.server(PROCESSES="1", CACHE_TYPE="memory", EPOLL_GROUP=value).start()
            replies = [server.get(IMAGE) for _ in range(3)]  # made, from the cache, by the fast lane
            self.assertEqual([reply.status for reply in replies], [200] * 3)
            self.assertIn("hit", replies[2].headers["cache-status"])
            bodies |= {reply.body for reply in replies}
            self.assertEqual(epolls(server), instances)
            self.assertEqual(server.stop(), 0)
        self.assertEqual(len(bodies), 1)
