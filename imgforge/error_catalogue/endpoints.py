"""Errors of the endpoints besides images: purges, the queue, top tables, the playground."""

from __future__ import annotations

from imgforge.error_catalogue.entry import Entry
from imgforge.errors import (
    BadRequest,
    BadToken,
    BodyTooLarge,
    ClientRefused,
    NotFound,
    PurgeFailed,
)

__all__ = ["ENDPOINTS"]

_RENDER_BODY = '{"paths": [PATH, ...]} or {"source": URL}'
_PURGE_BODY = '{"source": URL}, {"tag": TAG} or {"prefix": PREFIX}'

ENDPOINTS = (
    Entry(
        "purging-off",
        "the server",
        (BadToken,),
        ("purging is off: the server has no IMGFORGE_PURGE_SECRET",),
        "Nobody may purge while there is no secret for it.",
        "Set one, and send it as the bearer token.",
        ("purge_secret",),
    ),
    Entry(
        "prerendering-off",
        "the server",
        (BadToken,),
        ("pre-rendering is off: the server has no IMGFORGE_RENDER_SECRET",),
        "Nobody may fill the queue while there is no secret for it.",
        "Set one, and send it as the bearer token.",
        ("render_secret", "queue_path", "queue_url"),
    ),
    Entry(
        "no-top-tables",
        "the server",
        (NotFound,),
        ("this server has no top tables",),
        "They are off, or there is no secret by which the operator could be told from others.",
        "Set a secret, and a number of entries above 0.",
        ("top_entries", "secret", "purge_secret"),
    ),
    Entry(
        "top-arguments",
        "the query",
        (BadRequest,),
        ("by must be one of {}", "{} must be a number from 1 to {}"),
        "The query of /debug/top has a value that it does not take.",
        "Use `imgforge top`, or a value that the message names.",
        ("top_entries",),
    ),
    Entry(
        "no-render-request",
        "the id of the request",
        (NotFound,),
        ("there is no such request, or it is too long ago",),
        "The queue does not know the id, or has forgotten it.",
        "Ask for the state of all by `imgforge render status`.",
        ("queue_path",),
    ),
    Entry(
        "purge-body",
        "the body",
        (BadRequest,),
        (
            f"the body must be the JSON object {_PURGE_BODY}",
            f"the body must have one member: {_PURGE_BODY}",
            f"the body must be {_PURGE_BODY}, whose value is a text that is not empty",
        ),
        "The body of a purge says what to remove, by exactly one of three members.",
        "Use `imgforge purge`, or send such an object.",
    ),
    Entry(
        "render-body",
        "the body",
        (BadRequest,),
        (
            f"the body must be the JSON object {_RENDER_BODY}: {{}}",
            f"the body must be {_RENDER_BODY}, with at least one path",
        ),
        "The body says which images to make.",
        "Use `imgforge render add`, or send such an object.",
    ),
    Entry(
        "render-presets",
        "the body",
        (BadRequest,),
        ("a source needs presets to make of it: the server has no IMGFORGE_PRERENDER_PRESETS",),
        "A source alone does not say which images to make.",
        "Name the presets to make of every source, or send paths.",
        ("prerender_presets",),
    ),
    Entry(
        "render-uncached",
        "the path",
        (BadRequest,),
        ("the image would not be cached, so that it cannot be made beforehand",),
        "The URL has raw or bypass_cache, or no preset where only those are cached, or there is no cache.",
        "Set up a cache that all processes share.",
        ("cache_type", "cache_use", "cache_presets_only"),
    ),
    Entry(
        "notification",
        "the body",
        (BadRequest,),
        (
            "the body is not a JSON object",
            "the body is no notification of S3, MinIO, SNS, EventBridge or Pub/Sub",
            "Records must be a list of at most {}",
            "the notification has no object {}",
            "the notification has no text {}",
            "the notification names no bucket",
            "the notification names no usable key",
            "the key of the object is not UTF-8",
        ),
        "A store's notification of a new object has not the form that its documentation says.",
        "Set the store up as docs/prerendering.md shows.",
    ),
    Entry(
        "body-too-large",
        "the body",
        (BodyTooLarge,),
        ("the body is longer than {} bytes",),
        "The endpoint reads no more.",
        "Send several requests.",
    ),
    Entry(
        "playground",
        "the page",
        (ClientRefused, BadRequest),
        (
            "the playground answers only to localhost and 127.0.0.1",
            "the playground answers its own page only, not other origins",
            "the playground answers its own page only, not other sites",
            "the body must be JSON, and Content-Type must say so",
            "the body is not what the playground's page sends: {}",
            "a path cannot be signed: {}",
        ),
        "What signs URLs for `imgforge playground` answers its own page alone, opened at localhost or 127.0.0.1.",
        "Open the URL that the command prints, in a browser on the same machine.",
    ),
    Entry(
        "purge-not-recorded",
        "the cache",
        (PurgeFailed,),
        (
            "the purge could not be recorded: other processes do not know of it",
            "the purge could not be recorded in time: other processes may not know of it",
            "the purge could not be recorded: other nodes do not know of it",
            "the purge could not be recorded in time: other nodes may not know of it",
            "the purge could not be recorded in the shared cache: other nodes do not know of it",
            "the purge could not be recorded in the {} cache: other nodes may not know it",
        ),
        "This process has removed the images, but the shared cache, or the disk, is down or full.",
        "Purge again once the cache works: a second purge does no harm.",
        ("cache_type", "cache_use", "cache_shared_timeout", "cache_disk_path"),
    ),
)
