"""An explanation as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from imgforge.cli.common import escaped

__all__ = ["explanation_text"]

_WIDEST = 24  # characters of a column


def explanation_text(explanation: dict[str, Any]) -> Iterator[str]:
    """The lines for a terminal; control characters of the URL are shown escaped."""
    yield from map(escaped, _lines(explanation))


def _lines(explanation: dict[str, Any]) -> Iterator[str]:
    for error in explanation["errors"]:
        yield f"refused    {error['status']}: {error['message']}"
        if "cure" in error:
            yield f"           {error['cause']} {error['cure']}"
            yield f"           see {error['see']}"
    if explanation["hint"]:
        yield f"hint       {explanation['hint']}"
    signature = explanation["signature"]
    if signature:
        verdict = "good" if signature["valid"] else "wrong"
        yield f"signature  {verdict}: {signature['why']}"
        for mistake in signature["mistakes"]:
            yield f"           {mistake}"
    yield f"source     {explanation['source'] or 'unknown'}"
    if "fetched" in explanation:
        fetched = explanation["fetched"]
        passed = f"; the origin got the client's {', '.join(fetched['passed'])}" if fetched["passed"] else ""
        yield f"fetched    {fetched['error'] or '{} bytes'.format(fetched['bytes'])}{passed}"
    for preset in explanation["presets"]:
        named = "applies by default" if preset["from"] == "default" else f"named by the {preset['from']}"
        yield f"preset     {preset['name']}, {named}: {'/'.join(preset['options'])}"
    yield from _table("options", (_option(one) for one in explanation["options"]))
    yield f"format     {explanation['format']['chosen'] or 'none'}: {explanation['format']['why'] or 'unknown'}"
    if explanation["format"].get("assumed_source"):
        yield f"           for {explanation['format']['assumed_source']}, by the source's name"
    yield from _stages(explanation["stages"])
    for kind in ("result", "original"):
        yield f"cache key  {kind:<8} {explanation['cache'][kind] or 'none: it is not cached'}"
    yield from _server(explanation.get("server"))
    shown = {one["setting"] for one in explanation["options"]}
    yield from _table("settings", (_setting(one) for one in explanation["settings"] if one["name"] not in shown))


def _option(option: dict[str, Any]) -> tuple[str, str, str]:
    pipeline = f" (pipeline {option['pipeline']})" if option["pipeline"] > 1 else ""
    origin = f"{option['from']} {option['setting']}" if option["setting"] else option["from"]
    return option["name"] + pipeline, _text(option["value"]), origin


def _setting(setting: dict[str, Any]) -> tuple[str, str, str]:
    return setting["name"], _text(setting["value"]), setting["why"]


def _text(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 3 * _WIDEST else text[: 3 * _WIDEST] + "..."


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The rows in columns, with *title* before the first."""
    rows = list(rows)
    first = max((len(row[0]) for row in rows), default=0)
    second = min(max((len(row[1]) for row in rows), default=0), _WIDEST)
    for number, (name, value, why) in enumerate(rows):
        yield f"{'' if number else title:<10} {name:<{first}}  {value:<{second}}  {why}"


def _stages(stages: list[dict[str, Any]]) -> Iterator[str]:
    if not stages:
        yield "stages     none: the source is not processed"
    elif stages[0]["before"] is None:
        yield "stages     " + ", ".join(one["stage"] for one in stages)
        yield "           give --size WIDTHxHEIGHT, --source-file or --fetch to see what each does"
    else:
        acting = [one for one in stages if one["acts"]]
        pipelines = stages[-1]["pipeline"] > 1
        yield from _table(
            "stages",
            (
                (
                    f"{one['pipeline']}. {one['stage']}" if pipelines else one["stage"],
                    f"{one['before'][0]}x{one['before'][1]}",
                    f"-> {one['after'][0]}x{one['after'][1]}",
                )
                for one in acting
            ),
        )
        yield f"           {len(stages) - len(acting)} of {len(stages)} stages have nothing to do"


def _server(server: dict[str, Any] | None) -> Iterator[str]:
    if server is None:
        return
    if server.get("error"):
        yield f"server     {server['error']}"
    elif not server["cached"]:
        yield "server     has not cached the result"
    else:
        tier = f" in {server['tier']}" if server["tier"] else ""
        until = f", fresh until {server['fresh_until']}" if server["fresh_until"] else " for ever, as it has no ttl"
        yield f"server     has it cached{tier}: {server['state']}{until}"
        yield f"           key {server['key']}, {server['bytes']} bytes, Cache-Control {server['cache_control']}"
        if server.get("note"):
            yield f"           {server['note']}"
