"""A real browser for the tests of the playground: Debian's Chromium, driven by Playwright, both from `.ci/stores`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import decode
from tests.support.store_programs import store_program

__all__ = ["BrowserCase"]

# It resolves no name and uses no proxy: all its traffic is on loopback. As root it cannot have a sandbox of its own.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_LONGEST = 30_000  # milliseconds that a step may take on a busy machine


def _start_playwright() -> Any:
    program = store_program("chromium")
    libraries = str(Path(os.environ["IMGFORGE_TEST_STORES"], "playwright"))
    if libraries not in sys.path:
        sys.path.append(libraries)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise SkipTest(f"playwright cannot be imported ({error}): .ci/stores DIR chromium installs it") from None
    return program, sync_playwright().start()


class BrowserCase(SynchronousTestCase):
    """One browser for all tests of a class; `open` gives a new page with nothing stored."""

    playwright: ClassVar[Any]
    browser: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        program, cls.playwright = _start_playwright()
        cls.browser = cls.playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.browser.close()
        cls.playwright.stop()

    def open(self, url: str, **context: Any) -> Any:
        """The page at *url*, when its first result is there; what it asked for and what went wrong is kept."""
        browsing = self.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        self.addCleanup(browsing.close)
        browsing.set_default_timeout(_LONGEST)
        page = browsing.new_page()
        self.requests: list[str] = []
        self.asked: list[str] = []  # URLs and bodies
        self.faults: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("request", lambda request: self.asked.append(f"{request.url} {request.post_data or ''}"))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("console", self._note)
        page.goto(url)
        self.settle(page)
        return page

    def _dismiss(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, message: Any) -> None:
        # A response of 4xx is an error on the console as well: the page shows those itself.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def settle(self, page: Any) -> None:
        """Wait until the page has shown the result of its last change."""
        page.locator("body:not([aria-busy]):not([data-waiting])").wait_for()

    def picture(self, page: Any, name: str = "#after-image") -> Image.Image:
        """The pixels of an image as the browser shows them."""
        return decode(page.locator(name).screenshot()).convert("RGB")
