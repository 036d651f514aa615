"""The README's commands for phones, run as they stand there, with Chromium as the phone."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
from support.phone_page import start_browser
from support.readme import ROOT, call, commands


@pytest.mark.slow
@pytest.mark.system
def test_commands_one_after_the_other(digits_bundle: Path) -> None:
    setup, phone = commands("phone")
    call(setup)
    program, *arguments = shlex.split(phone)
    served = subprocess.Popen(
        [Path(sysconfig.get_path("scripts"), program), *arguments, "--quick", "--once"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stderr is not None
        address = next(found[0] for line in served.stderr if (found := re.search(r"https://[^/\s]+:\d+/\S+/", line)))
        browser = start_browser("--ignore-certificate-errors")  # a person would tap through the warning
        try:
            browser.get(address)
            browser.implicitly_wait(30)
            browser.find_element("css selector", "#measure:not([disabled])").click()
            said, errors = served.communicate(timeout=120)
        finally:
            browser.quit()
    finally:
        served.kill()
    assert served.returncode == 0, errors
    assert "int8.tflite" in said and "litert-web" in said
    report = call(f"edgekit report {ROOT}/examples/digits/build/phone.json --json")
    assert "litert-web" in report
