"""Where to listen, in every notation."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import BindAddress, parse_bind

TCP = {
    "127.0.0.1:80": ("127.0.0.1", 80),
    "localhost:80": ("localhost", 80),
    "[::1]:80": ("::1", 80),
    ":80": ("0.0.0.0", 80),  # noqa: S104
    "80": ("0.0.0.0", 80),  # noqa: S104
    "tcp:80": ("0.0.0.0", 80),  # noqa: S104
    "tcp:port=80:interface=127.0.0.1": ("127.0.0.1", 80),
    "tcp6:80": ("::", 80),
    "tcp:80:127.0.0.1": ("127.0.0.1", 80),
    "tcp::interface=127.0.0.1:port=80": ("127.0.0.1", 80),
    r"tcp:80:interface=\:\:1": ("::1", 80),
}


class BindTests(SynchronousTestCase):
    def test_addresses_and_ports(self) -> None:
        for text, (host, port) in TCP.items():
            self.assertEqual(parse_bind(text), (BindAddress("tcp", host, port),), text)

    def test_sockets_in_the_file_system(self) -> None:
        for text in ("/run/x.sock", "unix:/run/x.sock", "unix:address=/run/x.sock"):
            self.assertEqual(parse_bind(text), (BindAddress("unix", path="/run/x.sock"),))
        self.assertEqual(parse_bind("unix:/x:mode=660")[0].options, {"mode": "660"})

    def test_tls_and_systemd(self) -> None:
        (tls,) = parse_bind("ssl:443:interface=127.0.0.1:privateKey=k.pem:certKey=c.pem")
        self.assertEqual((tls.kind, tls.port, tls.options), ("ssl", 443, {"privateKey": "k.pem", "certKey": "c.pem"}))
        self.assertEqual(parse_bind("systemd:domain=INET:index=0")[0].options, {"domain": "INET", "index": "0"})

    def test_several(self) -> None:
        self.assertEqual([one.port for one in parse_bind("127.0.0.1:1, 127.0.0.1:2 127.0.0.1:3")], [1, 2, 3])

    def test_nonsense(self) -> None:
        for text in (
            "nonsense", "host:port", "1.2.3.4:99999", "tcp:", "tcp:x", "unix:", "ssl:443", "http://x:1", "[:::]:1",
            "unix:/x:mode=999", "systemd:index=first", ",", " ",
        ):  # fmt: skip
            with self.assertRaises(ValueError, msg=text):
                parse_bind(text)

    def test_a_misspelt_argument_does_not_open_every_interface(self) -> None:
        for text in ("tcp:80:interfase=127.0.0.1", "tcp:80:127.0.0.1:5:more", "ssl:443:privateKey=k:extraCertChain=c"):
            with self.assertRaises(ValueError, msg=text):
                parse_bind(text)
