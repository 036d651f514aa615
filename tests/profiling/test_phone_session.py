"""A page for phones from Python: what phones send comes as events, and is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundles import only
from support.phones import Phone, fetch_litert_js

from edgekit.bundle import Bundle
from edgekit.devices.browser.posted import PageProgress
from edgekit.errors import EdgekitError
from edgekit.profiling.files import read_profile
from edgekit.profiling.phone_session import Event, Kept, PhoneOptions, PhoneSession, Refused, Taken


@pytest.fixture(scope="module", autouse=True)
def litert_js() -> None:
    fetch_litert_js()


def test_what_phones_send_is_kept_and_told(small_bundle: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    kept = tmp_path / "phones.json"
    with Bundle.open(small_bundle) as bundle:
        session = PhoneSession(bundle, PhoneOptions("quick", seed=3), [kept], listener=events.append)
        with session:
            phone = Phone(session.server.url)
            progress = {"run": "00f1e2d3c4b5a697", "device": "Pixel 8", "done": 0.5, "text": "fp32.tflite"}
            assert phone.ask("progress", progress).status == 204
            assert phone.post_result(small_bundle, bundle_sha256="0" * 64).status == 400
            assert phone.post_result(small_bundle, run="00f1e2d3c4b5a697").status == 204
        with pytest.raises(OSError):
            phone.ask("job.json")
    said, refused, stored, taken = events
    assert isinstance(said, PageProgress) and said.device == "Pixel 8"
    assert isinstance(refused, Refused) and "another bundle" in str(refused.error)
    assert isinstance(stored, Kept) and taken == Taken("00f1e2d3c4b5a697")
    (record,) = session.results.profile.devices
    assert record == stored.device and read_profile(kept) == session.results.profile
    assert session.results.profile.settings.mode == "quick" and session.results.profile.settings.seed == 3


def test_a_bundle_without_anything_for_browsers_is_refused_before_it_is_served(
    small_bundle: Path, tmp_path: Path
) -> None:
    native = only(small_bundle, ("fp32.pte",), tmp_path / "native.edgekit")
    with Bundle.open(native) as bundle, pytest.raises(EdgekitError, match=r"no \.tflite variant"):
        PhoneSession(bundle, PhoneOptions())
