"""Programs that check the files of etc/: HAProxy's own parser, helm, kubeconform and others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.loopback_server import DEADLINE
from tests.support.process import ROOT
from tests.support.store_programs import store_program

__all__ = ["ETC", "RELEASES", "kubernetes_errors", "ran"]

ETC = ROOT / "etc"
RELEASES = ("1.30.0", "1.37.0")  # of Kubernetes, whose schemas .ci/stores installs


def ran(
    name: str,
    *arguments: str | Path,
    text: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program that `.ci/stores` installs, with *text* as its input."""
    return subprocess.run(
        (store_program(name), *map(str, arguments)),
        input=text,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def kubernetes_errors(manifests: str, release: str) -> str:
    """What kubeconform finds wrong in *manifests*, by the schemas of a *release* of Kubernetes; "" is nothing.

    Kinds of the Prometheus operator, whose schemas are not installed, are left out.
    """
    schemas = Path(os.environ["IMGFORGE_TEST_STORES"], "kubernetes-schemas", release)
    template = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    skipped = ("-skip", "ServiceMonitor,PrometheusRule")
    ended = ran("kubeconform", "-strict", *skipped, "-schema-location", template, text=manifests)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr
