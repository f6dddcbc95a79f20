"""Explains a URL step by step, as the server treats it: the signature, the options, the format, the stages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgforge.cache import entry_key, info_key, original_key
from imgforge.config import Settings
from imgforge.errors import ImgforgeError
from imgforge.model import ImageRequest, InfoRequest, Size
from imgforge.observability import shown_source
from imgforge.processing import STAGES, Rehearsal
from imgforge.service.explanation.client import client_request
from imgforge.service.explanation.foreign_url import foreign_form
from imgforge.service.explanation.format_decision import format_by_name, rehearsed
from imgforge.service.explanation.option_origins import file_quality, options_in_effect, presets_used
from imgforge.service.explanation.reading import read_request
from imgforge.service.explanation.settings_that_mattered import Facts, settings_that_mattered
from imgforge.service.explanation.source_rules import source_refusals
from imgforge.service.explanation.values import Explanation, OptionInEffect
from imgforge.service.translation import negotiation, passthrough, pipeline_settings
from imgforge.urls import OptionTrace
from imgforge.web import ClientHints, ClientKey

__all__ = ["explain"]


def explain(
    settings: Settings,
    path: str,
    *,
    accept: str = "",
    size: tuple[int, int] | None = None,
    source: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    failure: ImgforgeError | None = None,
    samples: bool = False,
) -> Explanation:
    """What the URL or *path* does under *settings*; it never raises: a mistake in the path is the result's `error`.

    *accept* is the client's Accept header, *headers* others of its headers: client hints, those of the cache key,
    those for origins. The stages have sizes for an original of *size* (pixels), or for the file *source*; *failure* is
    the error with which the original could not be fetched.
    A server with the playground also has *samples*, `sample://`.
    Nothing is fetched, and no file but those of the settings is read. It takes 10 to 200 ms, at most 10 s.
    """
    client = client_request(path, {"accept": accept, **(headers or {})})
    explaining = _Explaining(settings, accept, size, source, client, samples=samples)
    try:
        explaining.explain(path)
    except ImgforgeError as error:
        explaining.fail(error)
    except Exception as error:  # a fault of this server, which a panel shows rather than breaks by
        explaining.fail(ImgforgeError(f"the URL cannot be explained: {type(error).__name__}: {error}"))
    if failure is not None:
        explaining.fail(failure)
    result = explaining.finished()
    result.hint = foreign_form(path) if result.errors else ""
    return result


class _Explaining:
    """One explanation in the making."""

    def __init__(
        self,
        settings: Settings,
        accept: str,
        size: tuple[int, int] | None,
        source: bytes | None,
        client: Any,
        *,
        samples: bool,
    ) -> None:
        self._settings = settings
        self._accept = accept
        self._size = size
        self._source = source
        self._client = client
        self._samples = samples
        self._result = Explanation()
        self._facts: Facts | None = None
        self._trace = OptionTrace()

    def fail(self, error: ImgforgeError) -> None:
        """Notes a mistake; the server answers with the first."""
        if error.message not in (known.message for known in self._result.errors):
            self._result.errors.append(error)

    def finished(self) -> Explanation:
        """The explanation, as far as it went."""
        if not self._result.presets:
            self._result.presets = list(presets_used(self._trace, self._settings.arguments_separator))
        if self._facts is not None:
            self._result.settings = list(settings_that_mattered(self._facts))
        return self._result

    def explain(self, path: str) -> None:
        """Fills the result; raises the error that ends it."""
        settings, result = self._settings, self._result
        read = read_request(settings, path)
        result.signature = read.verdict.as_json()
        self._facts = Facts(settings, read.url, result)
        if read.verdict.refusal is not None:
            self.fail(read.verdict.refusal)
        if read.url.endpoint:
            result.kind = "info"
        # The rest is explained under a wrong signature too.
        request = self._for_client(read.request(self._trace))
        result.source = shown_source(request.source)
        result.presets = list(presets_used(self._trace, settings.arguments_separator))
        result.options = list(options_in_effect(request, self._trace, settings))
        accepted: tuple[str, ...] = ()
        varies = False
        if isinstance(request, ImageRequest):
            result.kind = "raw" if request.delivery.raw else "image"
            chosen = negotiation(settings)
            accepted, varies = chosen.accepted(request, self._accept), chosen.varies(request)
        self._facts = Facts(settings, read.url, result, request, accepted)
        self._explain_cache(request, accepted)
        try:
            request.delivery.check_expiry(time.time())
        except ImgforgeError as error:
            self.fail(error)
        for refusal in source_refusals(settings, request.source, samples=self._samples):
            self.fail(refusal)
        self._explain_result(request, accepted)
        result.format["varies"] = varies

    def _for_client(self, request: ImageRequest | InfoRequest) -> ImageRequest | InfoRequest:
        """*request* with what the client's headers change of it."""
        settings, client = self._settings, self._client
        passed, _ = passthrough(settings).of(client, request.source)
        if isinstance(request, InfoRequest) or request.delivery.raw:
            return replace(request, passed=passed)
        hints = ClientHints(settings.enable_client_hints, settings.max_result_dimension).of(client, request).used
        return replace(request, passed=passed, hints=hints if any(hints) else request.hints)

    def _explain_cache(self, request: ImageRequest | InfoRequest, accepted: tuple[str, ...]) -> None:
        settings = self._settings
        client = ClientKey(settings.cache_key_headers, settings.cache_key_cookies).of(self._client)
        try:
            fingerprint = pipeline_settings(settings).fingerprint
        except OSError as error:  # the operator's images are part of the key, and may be on another machine
            self._result.cache["why"] = f"{error.filename} cannot be read: {error.strerror}"
            return
        key: bytes | None
        if isinstance(request, InfoRequest):
            key = info_key(request, fingerprint, client)
        elif request.delivery.raw:
            key = None
        else:
            key = entry_key(request, accepted, fingerprint, client)
        self._result.cache = {
            "result": None if key is None else key.hex(),
            "original": None if key is None else original_key(request.source).hex(),
            "bypassed": request.delivery.bypass_cache or (settings.cache_presets_only and not request.presets),
        }

    def _explain_result(self, request: ImageRequest | InfoRequest, accepted: tuple[str, ...]) -> None:
        result = self._result
        if isinstance(request, InfoRequest):
            result.format = {"chosen": "json", "why": "/info answers with JSON"}
            return
        if request.delivery.raw:
            result.format = {"chosen": None, "why": "raw: the source is sent as it is, in its own format"}
            return
        if self._size is None and self._source is None:
            result.stages = [
                {"stage": stage.__name__, "before": None, "after": None, "acts": None, "pipeline": number}
                for number in range(1, len(request.chained) + 2)
                for stage in STAGES
            ]
        found = rehearsed(request, self._settings, accepted, source=self._source, size=self._size)
        chosen = found.formats[0] if len(found.formats) == 1 else "best"
        assumed = "" if self._source is not None else f"a still, opaque {format_by_name(request.source).upper()}"
        result.format = {
            "chosen": chosen,
            "why": found.why,
            "candidates": list(found.formats),
            "accepted": list(accepted),
            "assumed_source": assumed or None,
            "unprocessed": found.skipped,
        }
        if self._size is None and self._source is None:
            result.stages = [] if found.skipped else result.stages
        else:
            self._add_sizes(found)
        result.options += self._computed(request, found, chosen)

    def _add_sizes(self, found: Rehearsal) -> None:
        self._result.stages = [
            {
                "stage": one.stage,
                "before": [one.before.width, one.before.height],
                "after": [one.after.width, one.after.height],
                "acts": one.acts,
                "pipeline": one.pipeline + 1,
            }
            for one in found.stages
        ]
        self._result.sizes = {
            "source": [found.source.width, found.source.height],
            "result": [found.result.width, found.result.height],
        }

    def _computed(self, request: ImageRequest, found: Rehearsal, chosen: str) -> list[OptionInEffect]:
        """The options that follow from others, from the source and from the client."""
        options = request.options
        computed = []
        named = [one.format for one in (options, *request.chained) if one.format is not None]
        if named[-1:] != [chosen]:
            computed.append(OptionInEffect("format", chosen, "computed"))
        if not found.skipped and chosen != "best":
            quality = file_quality(options, self._settings, chosen)
            computed += [quality] if quality is not None else []
        if found.scaled != Size():
            asked = {name: value for name, value in request.hints._asdict().items() if value}
            width, height = asked.get("width", options.width), options.height
            if width and not height:
                computed.append(OptionInEffect("height", found.scaled.height, "computed"))
            if height and not width:
                computed.append(OptionInEffect("width", found.scaled.width, "computed"))
            if found.dpr != asked.get("dpr", options.dpr):
                computed.append(OptionInEffect("dpr", round(found.dpr, 4), "computed"))
        return computed
