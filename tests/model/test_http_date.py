"""Dates of HTTP headers."""

from __future__ import annotations

import os
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgforge.model import seconds_of_http_date

PARTS = ("Wed, ", "Wed ", "21 ", "Oct ", "2015 ", "31-Dec-9999 ", "07:28:00 ", "23:59:59", "GMT", "-2359", "+9999",
         "99999999999999 ", "0 ", "-1 ", "0001 ", "\u00b2", "\u0663 ", "\x00", ",", ":", " ")  # fmt: skip


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_formats_of_rfc_9110_are_in_utc(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert seconds_of_http_date(text) == 784111777
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") != "America/New_York"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Wed, 21 Oct 2015 07:28:00",
        "Wed, 99 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 99999999999999 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        f"Wed, 21 Oct {'9' * 5000} 07:28:00 GMT",
    ],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert seconds_of_http_date(text) is None


@given(st.text(max_size=40) | st.lists(st.sampled_from(PARTS), max_size=9).map("".join))
def test_any_text_is_none_or_a_moment_that_can_be_written(text: str) -> None:
    moment = seconds_of_http_date(text)
    if moment is not None:
        assert seconds_of_http_date(formatdate(moment, usegmt=True)) == moment


@given(st.integers(0, 253402300799))
def test_what_is_written_is_read_again(moment: int) -> None:
    assert seconds_of_http_date(formatdate(moment, usegmt=True)) == moment
