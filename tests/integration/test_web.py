"""The web starter as its README says: npm install, a server of files, and a real browser."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.conftest import write_starter
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from support.sources import npm

SEVEN = Path(__file__).parents[2] / "examples" / "digits" / "seven.png"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(system: None) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def serve() -> Iterator[object]:
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def ready(browser: webdriver.Chrome, url: str) -> str:
    """What the page says when it has loaded the model and tested it."""
    browser.get(url)
    WebDriverWait(browser, 180).until(lambda page: page.find_element(By.ID, "status").text != "loading")
    return str(browser.find_element(By.ID, "status").text)


@pytest.mark.parametrize("variant", ["int8.tflite", "fp32.tflite"])
def test_it_reads_a_digit(browser, serve, digits_bundle: Path, variant: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_starter(digits_bundle, "web", tmp_path / "starter", variant)
    npm(folder)
    assert ready(browser, serve(folder)).startswith("ready")
    browser.find_element(By.ID, "file").send_keys(str(SEVEN))
    WebDriverWait(browser, 180).until(lambda page: page.find_element(By.ID, "result").text)
    best, *others = browser.find_element(By.ID, "result").text.splitlines()
    label, probability = best.split(": ")
    assert label == "7" and 0.9 < float(probability) <= 1.0
    assert len(others) == 4
    # A model that gives something else is found out by the page itself.
    check = (folder / "check.bin").read_bytes()
    (folder / "check.bin").write_bytes(check[:-40] + bytes(40))
    assert "off, more than" in ready(browser, serve(folder))


def test_several_inputs_by_name(browser, serve, pair_bundle: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_starter(pair_bundle, "web", tmp_path / "starter")
    npm(folder)
    assert ready(browser, serve(folder)).startswith("ready")
    (tmp_path / "raw.json").write_text('{"left": [1, 2, 3, 4], "right": [0, 0, 0, 0, 0, 1]}')
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "raw.json"))
    WebDriverWait(browser, 180).until(lambda page: page.find_element(By.ID, "result").text)
    outputs = browser.execute_script("return JSON.parse(document.getElementById('result').textContent)")
    assert outputs["output_1"][3:] == [1, 2, 3, 4]  # the model hands its left input on
