"""The page for phones in a real browser: the product's server, Chromium with a phone's screen, and what arrives."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from edgekit.bundle import Bundle
from edgekit.devices.browser.job import make_job
from edgekit.devices.browser.result import read_result
from edgekit.devices.browser.server import LOOPBACK, PhoneServer
from edgekit.errors import EdgekitError
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Settings

#: So short that figures mean nothing; all of it is done nevertheless.
SETTINGS = Settings(mode="quick", seed=7, repeats=2, seconds=0.1, samples=10)
_WARM_UP = {"least_warm_up_s": 0.03, "most_warm_up_s": 0.2}
#: A GPU made of software: correctness only, its times mean nothing.
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def start_browser(*flags: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", *flags):
        options.add_argument(argument)
    if not set(SOFTWARE_GPU) & set(flags):
        options.add_argument("--disable-gpu")
    options.accept_insecure_certs = True  # somebody who taps through the warning
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(240)
    set_screen(driver)
    return driver


def set_screen(driver: webdriver.Chrome, width: int = 412, scheme: str = "light") -> None:
    """A screen *width* CSS pixels wide, a phone's by default; from the next page on."""
    sizes = {"width": width, "height": 839, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@dataclass
class Phone:
    """A browser that is at the page of one server.

    Attributes:
        path: Of the bundle.
        results: What it has posted, with the rows that were made of it; the last one last.
        trouble: What keeps the desk from taking a result.
    """

    browser: webdriver.Chrome
    server: PhoneServer
    path: Path
    results: list[tuple[dict[str, Any], tuple[Cell, ...]]] = field(default_factory=list)
    trouble: EdgekitError | None = None

    def open(self, address: str | None = None) -> None:
        self.browser.get(address or self.server.url)
        self.wait("!document.getElementById('measure').disabled")

    def wait(self, condition: str, most_s: float = 180.0) -> None:
        """Until *condition*, in JavaScript, holds."""
        WebDriverWait(self.browser, most_s, 0.05).until(lambda driver: driver.execute_script(f"return {condition}"))

    def text(self, identity: str) -> str:
        return str(self.browser.execute_script("return document.getElementById(arguments[0]).innerText", identity))

    def press(self, identity: str) -> None:
        self.browser.execute_script("document.getElementById(arguments[0]).click()", identity)

    def measure(self) -> dict[str, Any]:
        """Press the button, and wait for what arrives at the desk."""
        before = len(self.results)
        self.press("measure")
        self.wait("document.getElementById('measure').textContent === 'Measure'")
        assert len(self.results) == before + 1, (self.text("status"), self.text("delivery"))
        return self.results[-1][0]

    def cells(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Of the last result, by variant and accelerator."""
        return {(cell["variant"], cell["accelerator"]): cell for cell in self.results[-1][0]["cells"]}

    def run(self, script: str, *arguments: Any) -> Any:
        """What an asynchronous *script* returns, with the page's modules at hand by ``await page("NAME.js")``."""
        wrapped = (
            "const all = [...arguments], done = all.pop();"
            "const page = (name) => import(new URL('page/' + name, document.baseURI).href);"
            f"(async () => {{ {script} }})().then((value) => done({{value}}), (error) => done({{error: `${{error}}`}}))"
        )
        answer = self.browser.execute_async_script(wrapped, *arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("value")


@contextmanager
def phone_at(
    browser: webdriver.Chrome,
    path: Path,
    *,
    settings: Settings = SETTINGS,
    webgpu: bool = False,
    host: str = LOOPBACK,
    https: bool = False,
    variants: tuple[str, ...] = (),
) -> Iterator[Phone]:
    """*browser* at the page of the bundle at *path*."""
    with Bundle.open(path) as bundle:
        job = make_job(bundle, settings, webgpu=webgpu, variants=variants)
        job = replace(job, settings=replace(job.settings, **_WARM_UP))

        def receive(value: dict[str, Any]) -> None:
            if phone.trouble is not None:
                raise phone.trouble
            phone.results.append((value, read_result(value, bundle, settings)[1]))

        with PhoneServer(bundle, job, receive=receive, listener=lambda _: None, host=host, https=https) as server:
            phone = Phone(browser, server, path)
            yield phone


def tensors(texts: list[list[str]]) -> np.ndarray:
    """The only output of each sample, from ``check_outputs``."""
    return np.stack([np.frombuffer(base64.b64decode(sample[0]), "<f4") for sample in texts])
