"""The server, its workers and their decoders import no module from the working directory."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.hostile_world import ask
from tests.support.process import Origin, Twistd

_IMPORTED = "imported"
# Each module records its name and fails to import.
_PLANTED = f"open({_IMPORTED!r}, 'a').write(__name__ + '\\n')\nraise ImportError('of the working directory')\n"
# Rendered in a process of its own because it has a filter.
_COSTLY = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><filter id="f"><feGaussianBlur stdDeviation="2"/>'
    b'</filter><rect width="30" height="20" filter="url(#f)"/></svg>'
)


def _plant(directory: Path) -> None:
    for name in {*sys.stdlib_module_names, *packages_distributions(), "attrs", "imgforge", "sitecustomize"}:
        if name.isidentifier():
            directory.joinpath(f"{name}.py").write_text(_PLANTED)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_no_process_imports_from_the_working_directory(processes: str) -> None:
    origin = Origin({"/a.svg": _COSTLY})
    server = Twistd({"PROCESSES": processes, "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"})
    directory = Path(server.scratch.name)
    try:
        _plant(directory)
        server.start()
        reply = ask(server, "w:9", origin.url("/a.svg"), "@png")
        assert reply.status == 200, reply.body
        assert not directory.joinpath(_IMPORTED).exists(), directory.joinpath(_IMPORTED).read_text()
        assert server.stop() == 0, server.output()
    finally:
        server.clean()
        origin.close()
