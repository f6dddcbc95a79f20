"""OpenStack Swift on loopback in one process: proxy, account, container and object server, and optionally Keystone.

python run_store.py DIRECTORY [keystone] prints the URL for authentication once it serves. The Python that runs it has
the packages swift and, for Keystone, keystone and keystonemiddleware. Without Keystone the user is test:tester with the
key testing (tempauth), and test:reader with the key reading may read what a container allows; with it admin, secret, in
the project admin. `GET /forget` on the proxy revokes all tokens.
"""

# mypy: disable-error-code="import-not-found"

import eventlet

eventlet.monkey_patch()

import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import eventlet.wsgi  # noqa: E402

_SWIFT_CONF = """[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = one
default = yes
"""
_KEYSTONE_CONF = """[DEFAULT]
log_file = {0}/keystone.log
[database]
connection = sqlite:///{0}/keystone.db
[fernet_tokens]
key_repository = {0}/fernet
[credential]
key_repository = {0}/credential
"""


class Cache:
    """In place of memcached, in which tempauth keeps its tokens."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._values: dict[str, tuple[Any, float]] = {}

    def __call__(self, environment: Any, start: Any) -> Any:
        if environment["PATH_INFO"] == "/forget":
            self._values.clear()
            start("204 No Content", [])
            return [b""]
        environment["swift.cache"] = self
        return self._app(environment, start)

    def get(self, key: str, **_: Any) -> Any:
        value, end = self._values.get(key, (None, 0.0))
        return value if end > time.time() else None

    def set(self, key: str, value: Any, **chosen: Any) -> None:
        self._values[key] = value, time.time() + (chosen.get("time") or 86400)

    def delete(self, key: str, **_: Any) -> None:
        self._values.pop(key, None)

    def incr(self, key: str, delta: int = 1, **chosen: Any) -> int:
        value: int = (self.get(key) or 0) + delta
        self.set(key, value, **chosen)
        return value


def listen() -> Any:
    return eventlet.listen(("127.0.0.1", 0))


def port_of(listener: Any) -> int:
    port: int = listener.getsockname()[1]
    return port


def serve(listener: Any, app: Any, **chosen: Any) -> None:
    with open(os.devnull, "w") as log:
        log = os.fdopen(os.dup(log.fileno()), "w")

    def run() -> None:
        while True:  # it ends, without an error, where it cannot accept a connection
            eventlet.wsgi.server(listener.dup(), app, log, **chosen)

    eventlet.spawn(run)


def start_keystone(directory: Path, proxy: int) -> str:
    """Keystone with an endpoint for Swift, whose proxy has the port *proxy*; the URL of version 3."""
    conf = directory / "keystone.conf"
    conf.write_text(_KEYSTONE_CONF.format(directory))
    listener = listen()
    url = f"http://127.0.0.1:{port_of(listener)}/v3"
    owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    for command in (
        ("db_sync",),
        ("fernet_setup", *owner),
        ("credential_setup", *owner),
        ("bootstrap", "--bootstrap-password", "secret", "--bootstrap-public-url", url),
    ):
        manage = str(Path(sys.executable).with_name("keystone-manage"))
        subprocess.run([manage, "--config-file", str(conf), *command], check=True, capture_output=True)
    from keystone.server.flask import core

    sys.argv = sys.argv[:1]  # which Keystone would read
    serve(listener, core.initialize_application(name="public", config_files=[str(conf)]))
    import requests

    default: Any = {"name": "Default"}
    user: Any = {"name": "admin", "domain": default, "password": "secret"}
    auth: Any = {"identity": {"methods": ["password"], "password": {"user": user}}}
    scope = {"scope": {"project": {"name": "admin", "domain": default}}}
    answer = requests.post(f"{url}/auth/tokens", json={"auth": auth | scope}, timeout=60)
    token = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    made = requests.post(f"{url}/services", json={"service": {"type": "object-store"}}, headers=token, timeout=60)
    endpoint = {
        "service_id": made.json()["service"]["id"],
        "interface": "public",
        "url": f"http://127.0.0.1:{proxy}/v1/AUTH_%(project_id)s",
    }
    requests.post(f"{url}/endpoints", json={"endpoint": endpoint}, headers=token, timeout=60).raise_for_status()
    return url


def main() -> None:
    directory = Path(sys.argv[1]).resolve()
    with_keystone = "keystone" in sys.argv[2:]
    (directory / "disk").mkdir(parents=True)
    (directory / "swift.conf").write_text(_SWIFT_CONF)
    from swift.common import utils
    from swift.common.ring import RingBuilder

    utils.set_swift_dir(str(directory))
    utils.validate_configuration()
    listeners = {name: listen() for name in ("account", "container", "object")}
    for name, listener in listeners.items():
        ring = RingBuilder(2, 1, 0)
        place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port_of(listener), "device": "disk"}
        ring.add_dev({"id": 0, "weight": 1.0, **place})
        ring.rebalance()
        ring.get_ring().save(str(directory / f"{name}.ring.gz"))
    from swift.account.server import AccountController
    from swift.common.middleware import catch_errors, keystoneauth, tempauth
    from swift.common.storage_policy import reload_storage_policies
    from swift.common.wsgi import SwiftHttpProtocol
    from swift.container.server import ContainerController
    from swift.obj.server import ObjectController
    from swift.proxy.server import Application

    reload_storage_policies()
    conf = {
        "devices": str(directory),
        "swift_dir": str(directory),
        "mount_check": "false",
        "fallocate_reserve": "0",
        "disable_fallocate": "true",
        "account_autocreate": "true",
    }
    servers = {"account": AccountController, "container": ContainerController, "object": ObjectController}
    for name, server in servers.items():
        serve(listeners[name], server(conf), protocol=SwiftHttpProtocol)
    proxy = listen()
    app = Application(conf)
    if with_keystone:
        from keystonemiddleware import auth_token

        url = start_keystone(directory, port_of(proxy))
        app = keystoneauth.filter_factory(conf, operator_roles="admin")(app)
        settings = {
            "auth_type": "password",
            "auth_url": url,
            "www_authenticate_uri": url,
            "username": "admin",
            "password": "secret",
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "interface": "public",
            "delay_auth_decision": "true",
        }
        app = auth_token.filter_factory(settings)(app)
    else:
        url = f"http://127.0.0.1:{port_of(proxy)}/auth/v1.0"
        app = tempauth.filter_factory(conf, user_test_tester="testing .admin", user_test_reader="reading")(app)
    serve(proxy, catch_errors.filter_factory(conf)(Cache(app)), protocol=SwiftHttpProtocol)
    print(f"serving {url}", flush=True)
    while True:
        eventlet.sleep(3600)


if __name__ == "__main__":
    main()
