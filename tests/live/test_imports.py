"""What the processes of a server have in memory: a supervisor has no libvips, no TLS, no web stack."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, wait_for
from tests.support.service_case import ServiceCase

# Libraries by a part of their files' names: libvips, cryptography's and pyOpenSSL's and lxml's.
HEAVY = re.compile(r"libvips|_libvips|_rust\.abi3|lxml|etree")


def libraries(pid: int) -> set[str]:
    """The names of the files that process *pid* has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines()
    return {Path(line.split(None, 5)[5]).name for line in lines if len(line.split(None, 5)) == 6}


def modules_after(program: str, **settings: str) -> set[str]:
    """The modules that a new interpreter has imported after *program*."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
    environment |= {"PYTHONPATH": str(ROOT)} | {f"IMGFORGE_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return set(output.splitlines()[-1].split())


# As twistd makes the service, with the options that it has by itself.
SERVICE = """
from imgforge.service.twistd_command import Options, makeService
options = Options()
options.parent = {"uid": None, "pidfile": "", "nodaemon": True, "logfile": None}
makeService(options)
"""
WORKER = """
from imgforge.service.platform import HTTP2_SERVER, left_out
import imgforge.service.worker.main
with left_out(HTTP2_SERVER):
    from imgforge.service import assembly, worker
    worker.ServingProcess
"""


HTTP2_ORIGIN = """
from twisted.internet import reactor
from imgforge.sources.http.connector import CONNECTIONS
CONNECTIONS[b"h2"](reactor)
"""


class ImportTests(SynchronousTestCase):
    def test_supervisor_imports_no_libvips_no_tls_and_no_web_stack(self) -> None:
        imported = modules_after(SERVICE, PROCESSES="2", BIND="127.0.0.1:0", PRESETS="thumb=w:100")
        self.assertIn("imgforge.service.supervisor.supervisor", imported)
        unwanted = {
            "pyvips",
            "twisted.web",
            "OpenSSL",
            "cryptography",
            "lxml",
            "h2",
            "treq",
            "PIL",
            "numpy",
        }
        self.assertEqual(imported & unwanted, set())
        ours = {"imgforge.processing", "imgforge.web", "imgforge.sources", "imgforge.pipeline"}
        self.assertEqual(imported & ours, set())

    def test_serving_process_imports_what_its_configuration_uses(self) -> None:
        imported = modules_after(WORKER)
        self.assertLess({"pyvips", "twisted.web", "imgforge.service.assembly"}, imported)
        # The first error may come when no descriptor is left to import anything with.
        self.assertEqual({"imgforge.error_catalogue"} - imported, set())
        unwanted = {
            "lxml",
            "h2",
            "automat",
            "PIL",
            "numpy",
            "botocore",
            "google",
            "grpc",
            "opentelemetry",
            "azure",
            "msal",
            "requests",
            "huey",
            "celery",
            "kombu",
            "sentry_sdk",
            "imgforge.sources.stores.azure",
            "imgforge.sources.stores.bucket_opening",
            "imgforge.sources.stores.s3",
            "imgforge.service.prerendering",
            "imgforge.service.telemetry.error_reports",
            "imgforge.service.telemetry.top_tables",
            "imgforge.observability.imgproxy_metrics",
            "imgforge.service.telemetry.datadog_metrics",
            "imgforge.service.telemetry.cloud_watch",
        }
        self.assertEqual(imported & unwanted, set())

    def test_process_that_serves_alone_imports_no_http2_and_no_store(self) -> None:
        imported = modules_after(SERVICE, PROCESSES="1", BIND="127.0.0.1:0")
        self.assertEqual({"imgforge.service.assembly", "imgforge.error_catalogue"} - imported, set())
        self.assertEqual(imported & {"h2", "imgforge.sources.stores.s3", "imgforge.sources.stores.azure"}, set())

    def test_process_without_http2_servers_can_still_speak_http2_to_origins(self) -> None:
        imported = modules_after(f"{WORKER}{HTTP2_ORIGIN}")
        self.assertIn("h2.connection", imported)


class RunningTests(ServiceCase):
    def test_supervisor_stays_light_through_checks_of_images_and_a_reload(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        mark = Path(directory.name, "mark.png")
        mark.write_bytes(encode(gradient(8, 8), "PNG"))
        server = self.server(PROCESSES="2", WATERMARK_PATH=str(mark)).start()
        assert server.process is not None
        wait_for(lambda: len(server.children()) == 2, "two workers")
        first = set(server.children())
        self.assertFalse([name for name in libraries(server.process.pid) if HEAVY.search(name)])
        self.assertTrue(all(any("libvips" in name for name in libraries(pid)) for pid in first))
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(lambda: "the new configuration is in use" in server.output(), "the reload")
        self.assertFalse(first & set(server.children()))
        self.assertFalse([name for name in libraries(server.process.pid) if HEAVY.search(name)])
        mark.write_bytes(b"no image")
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(lambda: "the new configuration is not used: IMGFORGE_WATERMARK_PATH" in server.output(), "the mistake")
        server.assert_logged("; writes ")
        self.assertEqual(server.output().count("; writes "), 1)  # one worker, once, names the formats
