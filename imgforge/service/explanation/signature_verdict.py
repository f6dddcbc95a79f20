"""Whether the signature of a URL is good, by which key or rule; and of a wrong one, the mistakes that explain it."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.errors import BadPath, BadSignature, ImgforgeError
from imgforge.urls import SignedUrl, UrlParser, UrlSettings, signature_mistakes, signing_pair

__all__ = ["SignatureVerdict", "signature_verdict"]

_NO_MISTAKE = "none of the usual mistakes explains it: check that it was signed with this server's key and salt"
_NO_KEY = "this server has no key: set IMGFORGE_KEY and IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED"


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """`refusal` is the error of a wrong signature; `key` the number of the pair that signed, from 1 on, 0 for none."""

    why: str
    key: int = 0
    refusal: ImgforgeError | None = None
    mistakes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """As values of JSON."""
        return {
            "valid": self.refusal is None,
            "why": self.why,
            "key": self.key or None,
            "mistakes": list(self.mistakes),
        }


def signature_verdict(url: SignedUrl, rules: UrlSettings) -> SignatureVerdict:
    """The verdict on the signature of *url*; it reveals nothing of the keys."""
    try:
        UrlParser(rules).verify(f"{url.prefix}/{url.signature}{url.path}".encode())
    except BadSignature as error:
        mistakes = signature_mistakes(url, rules.keys, rules.signature_size) if rules.keys else (_NO_KEY,)
        return SignatureVerdict(error.message, refusal=error, mistakes=mistakes or (_NO_MISTAKE,))
    except BadPath as error:
        return SignatureVerdict(error.message, refusal=error)
    if key := signing_pair(url, rules.keys, rules.signature_size):
        return SignatureVerdict(f"signed with key {key} of {len(rules.keys)}", key)
    if url.signature in rules.trusted_signatures:
        return SignatureVerdict("one of IMGFORGE_TRUSTED_SIGNATURES")
    if rules.keys and url.signature != "unsafe":
        return SignatureVerdict("signed in another spelling of the path: a proxy has folded its slashes")
    return SignatureVerdict("unsigned, which this server takes")
