"""The picture of all options in the documentation shows all options."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import BY_NAME, OPTIONS

SHEET = Path(__file__).parents[2] / "docs" / "contact_sheet.py"


def contact_sheet() -> Any:
    spec = importlib.util.spec_from_file_location("contact_sheet", SHEET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ContactSheetTests(SynchronousTestCase):
    def test_every_option_that_can_be_seen_is_shown(self) -> None:
        sheet = contact_sheet()
        shown = {BY_NAME[text.split(":")[0]].name for _, options in sheet.CELLS for text in options.split("/")}
        seen = {option.name for option in OPTIONS if option.kind == "processing"} - sheet.UNSEEN
        self.assertEqual(seen - shown, set())
