"""HAProxy's and nginx's own verdict on the files of etc/; tests/live/test_balanced_fleet.py starts them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.balancers import Balancer, nginx_files, replaced
from tests.support.certificates import certificate
from tests.support.checkers import ETC, ran


class BalancerTests(SynchronousTestCase):
    def test_haproxy_takes_its_file_without_a_warning(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "certs").mkdir()
            Path(scratch, "certs", "imgforge.pem").write_bytes(certificate("images.example.com"))
            text = replaced("haproxy/haproxy.cfg", {"/etc/haproxy/certs/": f"{scratch}/certs/"})
            Path(scratch, "haproxy.cfg").write_text(text)
            ended = ran("haproxy", "-c", "-V", "-dW", "-f", f"{scratch}/haproxy.cfg")
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            Path(scratch, "haproxy.cfg").write_text(text.replace("hash-type consistent", "hash-type constant"))
            self.assertNotEqual(ran("haproxy", "-c", "-f", f"{scratch}/haproxy.cfg").returncode, 0)

    def test_haproxy_takes_that_of_compose(self) -> None:
        ended = ran("haproxy", "-c", "-V", "-dW", "-f", ETC / "compose" / "haproxy.cfg")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_nginx_takes_its_file(self) -> None:
        balancer = Balancer()
        self.addCleanup(balancer.close)
        ended = ran("nginx", "-t", "-e", "stderr", "-p", balancer.place, "-c", nginx_files(balancer, [3000, 3001]))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertNotIn("[warn]", ended.stderr)
