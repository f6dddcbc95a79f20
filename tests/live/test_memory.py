"""The memory of a started server, under more clients than it has memory for their originals."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, twistd

_MEGABYTE = 1 << 20
_CLIENTS = 40


class MemoryTests(SynchronousTestCase):
    def test_many_clients_with_large_originals_share_a_budget(self) -> None:
        # Bytes after the end of a JPEG change nothing about the picture.
        original = encode(gradient(2000, 1500), "JPEG") + bytes(8 * _MEGABYTE)
        origin = Origin({f"/{number}.jpg": original for number in range(_CLIENTS + 1)})
        self.addCleanup(origin.close)
        settings = {
            "PROCESSES": "1",
            "WORKERS": "1",
            "SOURCE_MEMORY_MAX_BYTES": str(24 * _MEGABYTE),
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            "DOWNLOAD_TIMEOUT": "60",
            "TIMEOUT": "60",
        }
        with twistd(**settings) as server:

            def ask(number: int) -> int:
                # Two bodies a request: its source, and a watermark that is as large.
                watermark = base64.urlsafe_b64encode(origin.url(f"/{(number + 1) % _CLIENTS}.jpg").encode()).decode()
                url = quote(origin.url(f"/{number}.jpg"), safe="")
                return server.get(f"/unsafe/w:300/bl:9/wm:0.5/wmu:{watermark}/plain/{url}@jpg").status

            def peak() -> int:
                assert server.process is not None
                status = Path(f"/proc/{server.process.pid}/status").read_text()
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                assert found is not None
                return int(found[1]) // 1024

            self.assertEqual(ask(_CLIENTS), 200)
            before = peak()
            with ThreadPoolExecutor(_CLIENTS) as clients:
                self.assertEqual(set(clients.map(ask, range(_CLIENTS))), {200})
            self.assertLess(peak() - before, 160)  # without a budget it is more than 320
