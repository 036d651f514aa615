"""The report in a browser without a network: on a phone and on a desktop, light and dark, by eye, ear and keyboard."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

SCREENS = {"412": (412, 915), "1440": (1440, 900)}

_VIEW = """
const wide = document.documentElement.clientWidth;
return {
  overflow: document.documentElement.scrollWidth - wide,
  drawings: [...document.querySelectorAll("figure svg")].map(drawing => {
    const box = drawing.getBoundingClientRect();
    const texts = [...drawing.querySelectorAll("text")].map(text => text.getBoundingClientRect());
    return {
      name: drawing.textContent.slice(0, 60), visible: drawing.checkVisibility(), width: box.width, height: box.height,
      left: box.left, right: box.right, inside: box.left >= 0 && box.right <= wide + 0.5,
      texts: texts.length, cut: texts.filter(text => text.left < -0.5 || text.right > wide + 0.5).length,
      colours: new Set([...drawing.querySelectorAll("path,line")].map(mark => {
        const style = getComputedStyle(mark);
        return style.fill + style.stroke;
      })).size,
    };
  }),
};
"""
_AXE = """
const [only, done] = arguments;
const brief = each => ({
  id: each.id, impact: each.impact, nodes: each.nodes.slice(0, 3).map(node => node.html.slice(0, 200)),
});
axe.run(document, only.length ? {runOnly: only} : {}).then(
  found => done({passed: found.passes.map(each => each.id), faults: found.violations.map(brief)}),
  error => done({passed: [], faults: [{id: String(error), impact: "critical"}]}));
"""


@pytest.fixture(scope="module")
def browser(system: None) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def open_report(browser: webdriver.Chrome, report: Path, screen: str, scheme: str) -> None:
    width, height = SCREENS[screen]
    sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": screen == "412"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(report.as_uri())


def requests(browser: webdriver.Chrome) -> set[str]:
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    sent = (each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent")
    return {url for url in sent if not url.startswith("data:")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", list(SCREENS))
def test_a_browser_shows_all_of_it(browser: webdriver.Chrome, report: Path, screen: str, scheme: str) -> None:
    open_report(browser, report, screen, scheme)
    view: dict[str, Any] = browser.execute_script(_VIEW)
    assert browser.get_log("browser") == []
    assert requests(browser) == {report.as_uri()}
    assert view["overflow"] <= 0
    assert len(view["drawings"]) > 20
    for drawing in view["drawings"]:
        assert drawing["visible"], drawing
        assert drawing["inside"], drawing
        assert drawing["width"] >= 360 and drawing["height"] >= 60, drawing
        assert drawing["texts"] > 3 and drawing["cut"] == 0, drawing
        assert drawing["colours"] >= 3, drawing
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= SCREENS[screen][0]
    folder = os.environ.get("EDGEKIT_SCREENSHOTS")
    if folder:
        browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = false)")
        name = f"report-{screen}{'' if scheme == 'light' else '-dark'}.png"
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        Path(folder, name).write_bytes(base64.b64decode(shot["data"]))


@pytest.mark.parametrize(("screen", "scheme", "only"), [("412", "light", []), ("1440", "dark", ["color-contrast"])])
def test_axe_finds_no_serious_fault(
    browser: webdriver.Chrome, report: Path, screen: str, scheme: str, only: list[str]
) -> None:
    from axe_core_python import selenium

    axe = Path(selenium.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    open_report(browser, report, screen, scheme)
    browser.execute_script("for (const each of document.querySelectorAll('#latency details')) each.open = true")
    browser.execute_script(axe)
    found = browser.execute_async_script(_AXE, only)
    assert "color-contrast" in found["passed"]
    assert [fault for fault in found["faults"] if fault["impact"] in ("serious", "critical")] == []


def test_the_keyboard_reaches_what_scrolls_and_what_opens(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report, "412", "light")
    wanted = browser.execute_script(
        "return [...document.querySelectorAll('.scroll, summary')].filter(each => each.checkVisibility()).length"
    )
    browser.execute_script(
        "window.reached = new Set(); addEventListener('focusin', event => window.reached.add(event.target))"
    )
    browser.switch_to.active_element.send_keys(Keys.TAB * (wanted + 20))
    reached = browser.execute_script(
        "return [...window.reached].filter(each => each.matches('.scroll, summary')).length"
    )
    assert reached == wanted > 20
    browser.execute_script("document.querySelector('figure summary').focus()")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.querySelector('figure details').open")
    browser.execute_script("document.querySelector('#latency > .scroll').focus()")
    for _ in range(3):
        browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    browser.execute_async_script("setTimeout(arguments[0], 400)")
    assert browser.execute_script("return document.activeElement.scrollLeft") > 0


def test_it_prints_light_and_with_all_tables(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report, "1440", "dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    paper, table = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        " document.querySelector('figure details table').getBoundingClientRect().height]"
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert paper == "rgb(255, 255, 255)"
    assert table > 20
