"""Chromium without a window, for tests and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from dev.terminal import Failure

# The first has no window at all, which saves some of the time.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Long, because a slow machine is no error.
WAIT_SECONDS = 90.0


def find_chromium() -> str:
    """
    Return the path of a Chromium that is installed on this machine.

    :raises Failure: if there is none.
    """
    for name in PROGRAMS:
        if program := shutil.which(name):
            return program
    raise Failure(
        f"this needs Chromium, but PATH has no {', '.join(PROGRAMS)}. On Debian: apt-get install chromium"
    )


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """
    Run a Chromium for the time of a ``with`` block.

    :raises Failure: if there is none on this machine.
    """
    program = find_chromium()
    expect.set_options(timeout=1000 * WAIT_SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-proxy-server"])
        try:
            yield browser
        finally:
            browser.close()
