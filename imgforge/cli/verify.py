"""`imgforge verify`: whether a URL is signed as this server wants it, and if not, what went wrong."""

from __future__ import annotations

import click

from imgforge.cli.common import CONFIG, fail, settings_of

__all__ = ["verify"]


@click.command(short_help="Check the signature of a URL, and name the mistake in it.")
@click.argument("url")
@CONFIG
def verify(url: str, config_path: str | None) -> None:
    """Check the signature of URL, a whole one or its path: exit status 0 if it is good, 1 if not.

    Of a wrong signature the usual mistakes are tried, and those that fit are named.
    """
    from dataclasses import replace

    from imgforge.errors import BadOption, BadSignature, ImgforgeError, OptionForbidden
    from imgforge.service import url_settings
    from imgforge.urls import SignedUrl, UrlParser, signature_mistakes, signing_pair

    settings = settings_of(config_path)
    if not settings.key:
        fail("IMGFORGE_KEY and IMGFORGE_SALT are not set: there is nothing to check the signature with")
    signed = SignedUrl.parse(url, settings.path_prefix)
    pairs = tuple(zip(settings.key, settings.salt, strict=True))
    try:
        # The server's own rules, but that `unsafe` is no signature.
        parser = UrlParser(replace(url_settings(settings), allow_unsigned=False))
        target = signed.target.encode()
        parser.parse_info(target) if signed.endpoint else parser.parse(target)
    except BadSignature as error:
        found = signature_mistakes(signed, pairs, settings.signature_size)
        fail(str(error), *(found or ("none of the usual mistakes fits: is it this server's key and salt?",)))
    except (BadOption, OptionForbidden) as error:
        fail(f"the signature is good, but the path is refused: {error}")
    except (ImgforgeError, ValueError) as error:
        fail(str(error))
    number = signing_pair(signed, pairs, settings.signature_size)
    click.echo("the signature is good" + (f" (key {number} of {len(pairs)})" if number and len(pairs) > 1 else ""))
