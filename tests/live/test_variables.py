"""A server and commands whose settings come from an environment file and from a secret store."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from imgforge.urls import Signer
from tests.support.cli import imgforge
from tests.support.process import Origin, Twistd, wait_for
from tests.support.s3_server import S3Server
from tests.support.service_case import ServiceCase

PATH = "/w:8/plain/nothing://x"
IN_USE = "the new configuration is in use"


def variables(key: str, more: str = "") -> str:
    return f"# keys\nIMGFORGE_KEY={key * 32}\nexport IMGFORGE_SALT='{key * 32}'\n{more}"


class VariablesCase(ServiceCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.file = Path(scratch.name, "env")

    def signed(self, key: str, path: str) -> str:
        return Signer(bytes.fromhex(key * 32), bytes.fromhex(key * 32)).sign(path)

    def accepts(self, server: Twistd, key: str) -> bool:
        """Whether the server takes URLs that are signed with *key*."""
        return server.get(self.signed(key, PATH)).status != 403

    def reload(self, server: Twistd) -> None:
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)

    def assert_hidden(self, server: Twistd) -> None:
        for key in ("aa", "bb"):
            self.assertNotIn(key * 8, server.output())


class FileTests(VariablesCase):
    def test_start_and_reload(self) -> None:
        proxy = Origin()
        self.addCleanup(proxy.close)
        self.file.write_text(variables("aa", "HTTPS_PROXY=http://user:hush@proxy.invalid:3128"))
        server = self.server(PROCESSES="2", ENV_LOCAL_FILE_PATH=str(self.file)).start()
        server.assert_logged("origins are asked through a proxy: https by proxy.invalid:3128")
        self.assertTrue(self.accepts(server, "aa"))
        self.file.write_text("IMGFORGE_KEY\nbb")
        self.reload(server)
        wait_for(lambda: "line 1 must be NAME=value" in server.output(), "the mistake")
        self.assertTrue(self.accepts(server, "aa"))
        self.file.write_text(variables("bb", f"IMGPROXY_TTL=3\nHTTP_PROXY={proxy.url('')}"))
        self.reload(server)
        wait_for(lambda: IN_USE in server.output(), "the new configuration")
        self.assertTrue(self.accepts(server, "bb"))
        self.assertFalse(self.accepts(server, "aa"))
        server.get(self.signed("bb", "/w:8/plain/http://nowhere.invalid/a.png"))
        # Workers know the variable, though the process that forks them is older.
        self.assertEqual([path for path, _ in proxy.requests], ["http://nowhere.invalid/a.png"])
        server.assert_logged("IMGPROXY_TTL: not read; rename the prefix")
        self.assertEqual(server.stop(), 0)
        self.assert_hidden(server)

    def test_mistake_ends_the_start_with_one_line(self) -> None:
        server = self.server(ENV_LOCAL_FILE_PATH=str(self.file))
        server.launch()
        wait_for(lambda: server.ended, "the end")
        self.assertEqual(server.stop(), 1)
        self.assertEqual(
            server.output().splitlines(),
            [
                f"imgforge: IMGFORGE_ENV_LOCAL_FILE_PATH: the file {str(self.file)!r} cannot be read: "
                "No such file or directory"
            ],
        )

    def test_commands(self) -> None:
        self.file.write_text(variables("aa"))
        named = {"IMGFORGE_ENV_LOCAL_FILE_PATH": str(self.file)}
        signed = imgforge("sign", PATH, **named).stdout.strip()
        self.assertEqual(signed, self.signed("aa", PATH))
        self.assertEqual(imgforge("verify", signed, **named).returncode, 0)
        self.assertNotIn("aaaa", imgforge("config", "show", **named).stdout)
        self.file.write_text("nothing")
        broken = imgforge("config", "check", **named)
        self.assertEqual((broken.returncode, broken.stderr.count("\n")), (1, 1))


class StoreTests(VariablesCase):
    def test_start_and_reload(self) -> None:
        store = S3Server()
        self.addCleanup(store.close)
        client = store.client("secretsmanager")
        client.create_secret(Name="images", SecretString=variables("aa"))
        server = self.server(PROCESSES="2", ENV_AWS_SECRET_ID="images", ENV_AWS_SECRET_REGION="us-east-1")
        server.environment = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": store.url,
            "AWS_ACCESS_KEY_ID": "operator",
            "AWS_SECRET_ACCESS_KEY": "operators-secret",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        server.start()
        self.assertTrue(self.accepts(server, "aa"))
        client.put_secret_value(SecretId="images", SecretString=variables("bb"))
        self.reload(server)
        wait_for(lambda: IN_USE in server.output(), "the new configuration")
        self.assertTrue(self.accepts(server, "bb"))
        client.delete_secret(SecretId="images")
        self.reload(server)
        wait_for(lambda: "not used: AWS Secrets Manager cannot be read: " in server.output(), "the mistake")
        self.assertTrue(self.accepts(server, "bb"))
        self.assertEqual(server.stop(), 0)
        self.assert_hidden(server)
