"""LiteRT.js as the setup step fetches it, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from support.phone_page import FAKE_CAMERA, start_browser

from edgekit.devices.browser import assets


@pytest.fixture(scope="session")
def assets_folder() -> Path:
    """Where LiteRT.js lies, fetched by the explicit step when it was not there."""
    return assets.set_up(print)


@pytest.fixture(scope="module")
def browser(system: None, assets_folder: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with a phone's screen."""
    driver = start_browser(*FAKE_CAMERA)
    yield driver
    driver.quit()
