"""Nothing of the directory that the server is started in is ever imported: not by it, its workers or their decoders."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.hostile_world import ask
from tests.support.process import Origin, Twistd

_IMPORTED = "imported"
# Each module says its name and ends the import.
_PLANTED = f"open({_IMPORTED!r}, 'a').write(__name__ + '\\n')\nraise ImportError('of the working directory')\n"
# Drawn in a process of its own, for it has a filter.
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
    here = Path(server.scratch.name)
    try:
        _plant(here)
        server.start()
        drawn = ask(server, "w:9", origin.url("/a.svg"), "@png")
        assert drawn.status == 200, drawn.body
        assert not here.joinpath(_IMPORTED).exists(), here.joinpath(_IMPORTED).read_text()
        assert server.stop() == 0, server.output()
    finally:
        server.clean()
        origin.close()
