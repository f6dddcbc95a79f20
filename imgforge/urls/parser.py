"""The grammar of paths, `/<signature>/<options>/<source>`: from the raw target to a frozen `ImageRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imgforge.errors import BadPath, OptionForbidden
from imgforge.model import DeliveryOptions, ImageRequest, InfoRequest
from imgforge.urls.encryption import SourceCipher
from imgforge.urls.options import BY_NAME, CHAIN, PRESET_NAMES, InfoOptionParser, OptionParser, OptionTrace
from imgforge.urls.path_prefix import without_prefix
from imgforge.urls.signature import Signer, Verifier
from imgforge.urls.source import SourceRewriter, percent_decoded, split_source

__all__ = ["UrlParser", "UrlSettings"]

# The longest target that is parsed, in bytes; browsers and CDNs end at 8 to 16 kB.
_MAX_LENGTH = 16384

# The options that presets-only URLs have beside presets: neither changes a pixel.
_WITH_PRESETS = frozenset({"expires", "cachebuster"})


@dataclass(frozen=True, slots=True)
class UrlSettings:
    """The operator's rules for URLs, by the names of the settings.

    `keys` are (key, salt) pairs; a signature by any of them is valid. An empty set of allowed options allows all.
    """

    keys: tuple[tuple[bytes, bytes], ...] = ()
    signature_size: int = 32
    trusted_signatures: tuple[str, ...] = ()
    allow_unsigned: bool = False
    path_prefix: str = ""
    arguments_separator: str = ":"
    presets: Mapping[str, str] = field(default_factory=dict)
    info_presets: Mapping[str, str] = field(default_factory=dict)
    only_presets: bool = False
    info_only_presets: bool = False
    allow_security_options: bool = False
    allow_bypass_cache: bool = False
    allowed_processing_options: frozenset[str] = frozenset()
    allowed_info_options: frozenset[str] = frozenset()
    max_chained_pipelines: int = 10
    base_url: str = ""
    url_replacements: tuple[tuple[str, str], ...] = ()
    watermark_preprocess_url: bool = False
    fallback_image_preprocess_url: bool = False
    base64_url_includes_filename: bool = False
    encryption_key: bytes = b""


class UrlParser:
    """Checks and parses targets under *settings*. Raises `ValueError` with one argument for each mistake in them.

    A typical target costs some 30 us, most of it in the options.
    """

    def __init__(self, settings: UrlSettings) -> None:
        self._settings = settings
        self._prefix = settings.path_prefix.rstrip("/").encode()
        self._separator = settings.arguments_separator
        signers = [Signer(key, salt, settings.signature_size) for key, salt in settings.keys]
        self._verifier = Verifier(signers, settings.trusted_signatures, allow_unsigned=settings.allow_unsigned)
        self._cipher = SourceCipher(settings.encryption_key) if settings.encryption_key else None
        self._rewrite = SourceRewriter(settings.base_url, settings.url_replacements)
        self._options = OptionParser(
            separator=settings.arguments_separator,
            presets=settings.presets,
            allowed=settings.allowed_processing_options,
            security=settings.allow_security_options,
            pipelines=settings.max_chained_pipelines,
        )
        self._info_options = InfoOptionParser(
            separator=settings.arguments_separator,
            presets=settings.info_presets,
            security=settings.allow_security_options,
            allowed=settings.allowed_info_options,
        )

    def parse(self, target: bytes, trace: OptionTrace | None = None) -> ImageRequest:
        """The request of a raw target; *trace* notes where its options come from.

        Raises `BadPath`, `BadSignature`, `BadOption` or `OptionForbidden`; the signature is checked before anything
        is decoded.
        """
        sent: dict[str, str] = {}
        texts, rest, presets = self._parts(target, sent, only_presets=self._settings.only_presets)
        parsed = self._options.parse(texts, presets, sent, trace)
        self._check_bypass(parsed.delivery)
        source, named_format = self._source(rest, any_format=parsed.delivery.raw)
        if trace is not None:
            trace.named_format = named_format
        request = ImageRequest(
            self._rewrite(source),
            parsed.processing_to(named_format),
            parsed.chained,
            parsed.delivery,
            parsed.presets,
            unset=parsed.unset,
        )
        return self._with_rewritten_images(request)

    def parse_info(self, target: bytes, trace: OptionTrace | None = None) -> InfoRequest:
        """The request of an `/info/...` target, whose signature covers the path after it; errors as `parse`."""
        target = without_prefix(target, self._prefix).removeprefix(b"/info")
        sent: dict[str, str] = {}
        texts, rest, presets = self._parts(target, sent, only_presets=self._settings.info_only_presets)
        wanted, delivery, named = self._info_options.parse(texts, presets, sent, trace)
        self._check_bypass(delivery)
        source, _ = self._source(rest)
        return InfoRequest(self._rewrite(source), wanted, delivery, named)

    def verify(self, target: bytes) -> None:
        """Checks the signature of *target*, of an image or without the `/info` before it; `BadSignature`, `BadPath`."""
        self._verified(target)

    def _check_bypass(self, delivery: DeliveryOptions) -> None:
        if delivery.bypass_cache and not self._settings.allow_bypass_cache:
            raise OptionForbidden("option 'bypass_cache' needs IMGFORGE_ALLOW_BYPASS_CACHE")

    def _with_rewritten_images(self, request: ImageRequest) -> ImageRequest:
        """*request* with the URLs of its watermarks and fallback image rewritten too, where the operator wants that."""
        settings, delivery = self._settings, request.delivery
        if settings.fallback_image_preprocess_url and delivery.fallback_image_url:
            url = self._rewrite(delivery.fallback_image_url)
            request = replace(request, delivery=replace(delivery, fallback_image_url=url))
        if settings.watermark_preprocess_url:
            first, *chained = (
                replace(one, watermark_url=self._rewrite(one.watermark_url)) if one.watermark_url else one
                for one in (request.options, *request.chained)
            )
            request = replace(request, options=first, chained=tuple(chained))
        return request

    def _parts(
        self, target: bytes, sent: dict[str, str], *, only_presets: bool
    ) -> tuple[list[str], list[str], tuple[str, ...]]:
        """The texts of the options, the parts after them, and the presets that are named without `pr`.

        *sent* gets the texts that were percent-encoded, as sent.
        """
        texts, rest = self._split(self._verified(target), sent)
        if not only_presets:
            return texts, rest, ()
        presets, texts, rest = self._presets_only(texts, rest, sent)
        return texts, rest, presets

    def _source(self, parts: list[str], *, any_format: bool = False) -> tuple[str, str | None]:
        return split_source(
            parts,
            with_filename=self._settings.base64_url_includes_filename,
            any_format=any_format,
            cipher=self._cipher,
        )

    def _verified(self, target: bytes) -> str:
        """The path after the signature, as text; `BadSignature` unless the signature is valid."""
        if len(target) > _MAX_LENGTH:
            raise BadPath(f"the path is longer than {_MAX_LENGTH} bytes")
        path = without_prefix(target.partition(b"?")[0], self._prefix)
        signature, slash, rest = path.removeprefix(b"/").partition(b"/")
        if slash and not signature:
            raise BadPath("the path begins with two slashes: the part of the signature is empty")
        if not slash:
            raise BadPath("the path is not /<signature>/<options>/<source>")
        self._verifier.check(signature, slash + rest)
        try:
            return rest.decode("utf-8")
        except UnicodeDecodeError:
            raise BadPath("the path is not UTF-8") from None

    def _split(self, path: str, sent: dict[str, str]) -> tuple[list[str], list[str]]:
        """The texts of the options, decoded, and the parts after them: options end at the first part without ':'."""
        parts = path.split("/")
        texts: list[str] = []
        for index, part in enumerate(parts):
            if not part:  # a doubled slash has no meaning
                continue
            text = percent_decoded(part, "option")
            if text != CHAIN and self._separator not in text:
                return texts, parts[index:]
            texts.append(text)
            if text != part:
                sent[text] = part
        raise BadPath("the source is missing; a source URL needs plain/ before it")

    def _presets_only(
        self, texts: list[str], rest: list[str], sent: dict[str, str]
    ) -> tuple[tuple[str, ...], list[str], list[str]]:
        """Split presets from other options: bare (`/thumb:wide/`, `/thumb/`) or named (`/pr:thumb/`) ones."""
        presets: list[str] = []
        options: list[str] = []
        for text in texts:
            name, *arguments = text.split(self._separator)
            option = BY_NAME.get(name)
            if name in PRESET_NAMES:
                presets += arguments
            elif option is not None and option.name in _WITH_PRESETS:
                options.append(text)
            else:
                presets += [name, *arguments]
        if not presets and len(rest) > 1 and rest[0] not in {"plain", "enc"}:
            presets.append(percent_decoded(rest[0], "preset"))
            rest = rest[1:]
            more, rest = self._split("/".join(rest), sent)
            if more:
                more_presets, more_options, _ = self._presets_only(more, ["plain"], sent)
                presets += more_presets
                options += more_options
        return tuple(presets), options, rest
