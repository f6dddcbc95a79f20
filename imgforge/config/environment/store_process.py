"""Secret stores, asked in a process of their own: `python -P -m imgforge.config.environment.store_process`.

    this process ── stdin: the settings of the configuration file that matter, in JSON ──> process
                 <─ stdout: sources, or a mistake, in JSON

The process has the environment of this one. It is killed when the stores take too long, whatever hangs in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from imgforge.config.environment.aws import aws_parameters, aws_secret
from imgforge.config.environment.gcp import gcp_secret
from imgforge.config.environment.variables import EnvironmentMistake, Source, StoreSettings, Variables, parse

__all__ = ["sources_of_stores"]

_MOST_SECONDS = 60  # for all stores together: the time that imgproxy has for one of Google's


def sources_of_stores(environ: Mapping[str, str], file: Mapping[str, Any]) -> list[Source]:
    """The sources of the stores that *environ* and the configuration *file* name. Raises `EnvironmentMistake`."""
    question = {name: value for name, value in file.items() if name.startswith("env_") and isinstance(value, str)}
    command = [sys.executable, "-P", "-m", "imgforge.config.environment.store_process"]
    try:
        answer = subprocess.run(  # noqa: S603  our own program
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            check=False,
            timeout=_MOST_SECONDS,
            env=dict(environ),
        )
        found = json.loads(answer.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise EnvironmentMistake(f"the secret stores took more than {_MOST_SECONDS} seconds") from None
    except (OSError, ValueError, IndexError) as error:
        raise EnvironmentMistake(f"the secret stores cannot be asked: {type(error).__name__}: {error}") from None
    if "mistake" in found:
        raise EnvironmentMistake(found["mistake"])
    return [Source(place, values, frozenset(secret)) for place, values, secret in found["sources"]]


def _ask(settings: StoreSettings) -> list[Source]:
    """The sources of *settings*, in their order; the environment of this process gets what each of them has."""
    sources: list[Source] = []

    def add(place: str, values: dict[str, str], secret: frozenset[str]) -> StoreSettings:
        sources.append(Source(f"in {place}", values, secret))
        known = Variables(tuple(sources))
        os.environ.update(known.others)  # such as credentials for the next store
        return settings.with_variables(known.values)

    def parsed(text: str, place: str) -> dict[str, str]:
        found = parse(text, {**os.environ, **Variables(tuple(sources)).values}, f"{place}: the secret")
        if not found:
            raise EnvironmentMistake(f"{place}: the secret holds no variable: its text must have lines NAME=value")
        return found

    chosen = settings
    if chosen["env_aws_secret_id"]:
        what = ("id", "version_id", "version_stage", "region")
        text = _asked("AWS Secrets Manager", aws_secret, *(chosen[f"env_aws_secret_{name}"] for name in what))
        values = parsed(text, "AWS Secrets Manager")
        chosen = add("AWS Secrets Manager", values, frozenset(values))
    if chosen["env_aws_ssm_parameters_path"]:
        place = "the Parameter Store of AWS Systems Manager"
        path, region = chosen["env_aws_ssm_parameters_path"], chosen["env_aws_ssm_parameters_region"]
        values, secret = _asked(place, aws_parameters, path, region)
        chosen = add(place, values, frozenset(secret))
    if chosen["env_gcp_secret_id"]:
        what = ("secret_project_id", "secret_id", "secret_version_id", "key")
        text = _asked("Google Cloud Secret Manager", gcp_secret, *(chosen[f"env_gcp_{name}"] for name in what))
        values = parsed(text, "Google Cloud Secret Manager")
        add("Google Cloud Secret Manager", values, frozenset(values))
    return sources


def _asked(place: str, ask: Any, *arguments: str) -> Any:
    try:
        return ask(*arguments)
    except LookupError as error:
        raise EnvironmentMistake(f"{place} cannot be read: {error}") from None


def _main() -> None:
    try:
        sources = _ask(StoreSettings(dict(os.environ), json.load(sys.stdin)))
        answer: dict[str, Any] = {"sources": [(one.place, dict(one.values), sorted(one.secret)) for one in sources]}
    except EnvironmentMistake as error:
        answer = {"mistake": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
