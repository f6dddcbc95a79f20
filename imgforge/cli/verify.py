"""`imgforge verify`: checks the signature of a URL under this server's settings, and diagnoses a wrong one."""

from __future__ import annotations

import click

from imgforge.cli.common import CONFIG, fail, settings_of

__all__ = ["verify"]


@click.command(short_help="Check the signature of a URL and diagnose a wrong one.")
@click.argument("url")
@CONFIG
def verify(url: str, config_path: str | None) -> None:
    """Check the signature of URL, a full URL or its path: exit status 0 if it is good, 1 if not.

    For a wrong signature, the usual mistakes of signing programs are tried, and each one that explains it is printed.
    """
    from dataclasses import replace

    from imgforge.errors import BadOption, BadSignature, ImgforgeError, OptionForbidden
    from imgforge.service import url_settings
    from imgforge.urls import SignedUrl, UrlParser, signature_mistakes, signing_pair

    settings = settings_of(config_path)
    if not settings.key:
        fail("IMGFORGE_KEY and IMGFORGE_SALT are not set: a signature cannot be checked without them")
    signed = SignedUrl.parse(url, settings.path_prefix)
    pairs = tuple(zip(settings.key, settings.salt, strict=True))
    try:
        # The server's own rules, except that `unsafe` never counts as a signature.
        parser = UrlParser(replace(url_settings(settings), allow_unsigned=False))
        target = signed.target.encode()
        parser.parse_info(target) if signed.endpoint else parser.parse(target)
    except BadSignature as error:
        mistakes = signature_mistakes(signed, pairs, settings.signature_size)
        fail(
            str(error),
            *(
                mistakes
                or ("none of the usual mistakes explains it: check that it was signed with this server's key and salt",)
            ),
        )
    except (BadOption, OptionForbidden) as error:
        fail(f"the signature is good, but the path is refused: {error}")
    except (ImgforgeError, ValueError) as error:
        fail(str(error))
    pair_number = signing_pair(signed, pairs, settings.signature_size)
    click.echo(
        "the signature is good" + (f" (key {pair_number} of {len(pairs)})" if pair_number and len(pairs) > 1 else "")
    )
