"""HTTP semantics: responses, conditions, content negotiation, forwarded headers, request bodies."""

from imgforge.web.http.answer import Answer, AnswerSettings, Headers, Offer, error_headers
from imgforge.web.http.caching import (
    aging_since,
    cache_headers,
    cache_tag_headers,
    entry_terms,
    streamed_cache_control,
)
from imgforge.web.http.client_hints import HINTS, AppliedHints, ClientHints, hints_in
from imgforge.web.http.conditions import (
    Conditions,
    conditioned,
    confirmed_etag,
    not_modified,
    not_satisfiable,
    precondition_failed,
    precondition_fails,
)
from imgforge.web.http.disposition import content_disposition
from imgforge.web.http.forwarded import FORWARDED, Clients, added_by_proxy, bucket, names_this_machine, plain_address
from imgforge.web.http.image_answers import ServedImage, canonical, image_answer
from imgforge.web.http.key_headers import ClientKey
from imgforge.web.http.negotiation import Negotiation, accepted_formats, accepted_types
from imgforge.web.http.passthrough import Passthrough
from imgforge.web.http.request_body import whole_body
from imgforge.web.http.request_headers import (
    HOST,
    MOST_LOGGED,
    REQUEST_ID,
    SINGLETONS,
    BearerGate,
    joined_header,
    only_if_cached,
    request_id,
)
from imgforge.web.http.request_in_flight import RequestInFlight, access_of, attach_record, record_of
from imgforge.web.http.strict_channel import StrictChannel

__all__ = [
    "FORWARDED",
    "HINTS",
    "HOST",
    "MOST_LOGGED",
    "REQUEST_ID",
    "SINGLETONS",
    "Answer",
    "AnswerSettings",
    "AppliedHints",
    "BearerGate",
    "ClientHints",
    "ClientKey",
    "Clients",
    "Conditions",
    "Headers",
    "Negotiation",
    "Offer",
    "Passthrough",
    "RequestInFlight",
    "ServedImage",
    "StrictChannel",
    "accepted_formats",
    "accepted_types",
    "access_of",
    "added_by_proxy",
    "aging_since",
    "attach_record",
    "bucket",
    "cache_headers",
    "cache_tag_headers",
    "canonical",
    "conditioned",
    "confirmed_etag",
    "content_disposition",
    "entry_terms",
    "error_headers",
    "hints_in",
    "image_answer",
    "joined_header",
    "names_this_machine",
    "not_modified",
    "not_satisfiable",
    "only_if_cached",
    "plain_address",
    "precondition_failed",
    "precondition_fails",
    "record_of",
    "request_id",
    "streamed_cache_control",
    "whole_body",
]
