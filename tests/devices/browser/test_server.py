"""What phones are served, what is taken from them, and what nobody gets."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.phones import Phone, fetch_litert_js
from support.posted import SETTINGS, document

from edgekit.bundle import Bundle, write_bundle
from edgekit.devices.browser import assets
from edgekit.devices.browser.handler import MOST_PROGRESS_BYTES, MOST_RESULT_BYTES
from edgekit.devices.browser.job import make_job, phone_settings
from edgekit.devices.browser.posted import PageProgress
from edgekit.devices.browser.server import ANYWHERE, PhoneServer
from edgekit.errors import BundleError, EdgekitError, UsageError


@dataclass
class Desk:
    """A server, and what it handed on."""

    server: PhoneServer
    phone: Phone
    results: list[dict[str, Any]] = field(default_factory=list)
    progress: list[PageProgress] = field(default_factory=list)


@pytest.fixture(scope="module")
def desk(small_bundle: Path) -> Iterator[Desk]:
    fetch_litert_js()
    results: list[dict[str, Any]] = []
    progress: list[PageProgress] = []

    def receive(value: dict[str, Any]) -> None:
        if value["bundle_sha256"] == "0" * 64:
            raise UsageError("EK-INPUT", "it is of another bundle: reload the page")
        results.append(value)

    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=True)
        with PhoneServer(bundle, job, receive=receive, listener=progress.append) as server:
            yield Desk(server, Phone(server.url), results, progress)


def test_the_page_comes_with_the_headers_that_threads_and_safety_need(desk: Desk) -> None:
    reply = desk.phone.ask()
    assert reply.status == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<html" in reply.body
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"
    assert reply.headers["cross-origin-embedder-policy"] == "require-corp"
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["referrer-policy"] == "no-referrer"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "'unsafe-inline'" not in policy and "'unsafe-eval'" not in policy


def test_a_job_names_every_tflite_variant_and_how_to_measure_it(desk: Desk) -> None:
    job = json.loads(desk.phone.ask("job.json").body)
    assert [entry["name"] for entry in job["variants"]] == ["fp32.tflite", "int8-dynamic.tflite"]
    assert job["labels"] == ["east", "north", "south", "west"] and job["checks"]["samples"] == 8
    assert job["settings"]["repeats"] == 2 and job["settings"]["accelerators"] == ["wasm", "webgpu"]


def test_files_of_the_bundle_are_served_as_they_are_in_it_and_no_others(desk: Desk, small_bundle: Path) -> None:
    job = json.loads(desk.phone.ask("job.json").body)
    with Bundle.open(small_bundle) as bundle:
        for entry in (*job["variants"], *job["checks"]["inputs"], *job["checks"]["outputs"]):
            assert desk.phone.ask(f"bundle/{entry['file']}").body == bundle.read(entry["file"])
    for path in ("bundle/manifest.json", "bundle/variants/fp32.pte", "bundle/", "bundle"):
        assert desk.phone.ask(path).status == 404


def test_the_runtime_is_the_pinned_one_compressed_and_with_its_licence(desk: Desk) -> None:
    pinned = {f"{package.folder}/{kept.path}": kept for package in assets.packages() for kept in package.files}
    reply = desk.phone.ask("runtime/core/wasm/litert_wasm_internal.wasm", headers={"Accept-Encoding": "gzip, br"})
    assert reply.headers["content-type"] == "application/wasm" and "immutable" in reply.headers["cache-control"]
    assert len(reply.body) < len(gzip.decompress(reply.body)) / 3
    assert len(gzip.decompress(reply.body)) == pinned["core/wasm/litert_wasm_internal.wasm"].size_bytes
    plain = desk.phone.ask("runtime/wasm-utils/dist/index.js")
    assert "content-encoding" not in plain.headers
    assert len(plain.body) == pinned["wasm-utils/dist/index.js"].size_bytes
    assert b"Apache License" in desk.phone.ask("runtime/LICENSE.txt").body
    assert b"github.com/google-ai-edge/LiteRT" in desk.phone.ask("runtime/NOTICE.txt").body
    assert desk.phone.ask("runtime/core/wasm/litert_wasm_jspi_internal.wasm").status == 404


def test_a_worker_can_import_the_runtime_without_an_import_map(desk: Desk) -> None:
    script = desk.phone.ask("runtime/core/dist/index.js").body
    assert b'from "../../wasm-utils/dist/index.js"' in script and b'from "@' not in script


@pytest.mark.parametrize("token", ["", "x", "{other}", "{token}x", "{short}", "{token}%2f", "%00{token}", "é"])
def test_who_does_not_know_the_token_is_told_nothing(desk: Desk, token: str) -> None:
    own = desk.server.token
    other = ("A" if own[0] != "A" else "B") + own[1:]
    given = token.format(token=own, other=other, short=own[:-1])
    for method, path in (("GET", ""), ("GET", "job.json"), ("POST", "result"), ("POST", "progress")):
        body = b"{}" if method == "POST" else None
        reply = desk.phone.ask(f"/{given}/{path}".replace("é", "%C3%A9"), body)
        assert (reply.status, reply.body) == (404, b"")
    assert desk.phone.ask("/").status == desk.phone.ask(f"/{own}").status == 404


def test_tokens_are_new_for_each_server_and_hold_128_bits(desk: Desk, small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False)
        other = PhoneServer(bundle, job, receive=print, listener=print)
    assert other.token != desk.server.token and len(other.token) >= 22


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io", ""])
def test_a_name_that_somebody_else_points_here_is_not_answered(desk: Desk, host: str) -> None:
    assert desk.phone.ask("job.json", headers={"Host": host}).status == 404


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "192.168.1.20:4711", "[::1]:80", socket.gethostname()])
def test_addresses_that_lead_to_this_machine_are_answered(desk: Desk, host: str) -> None:
    assert desk.phone.ask("job.json", headers={"Host": host}).status == 200


def test_a_result_is_handed_on_once_however_often_it_is_posted(desk: Desk, small_bundle: Path) -> None:
    value = document(small_bundle, run="0123456789abcdef")
    replies = [desk.phone.ask("result", value).status for _ in range(3)]
    assert replies == [204, 204, 204]
    assert [each for each in desk.results if each["run"] == "0123456789abcdef"] == [value]


def test_a_result_that_is_refused_may_be_posted_again(desk: Desk, small_bundle: Path) -> None:
    wrong = document(small_bundle, run="00000000000000aa", bundle_sha256="0" * 64)
    reply = desk.phone.ask("result", wrong)
    assert reply.status == 400 and json.loads(reply.body) == {"message": "it is of another bundle: reload the page"}
    assert desk.phone.ask("result", document(small_bundle, run="00000000000000aa")).status == 204


def test_several_phones_may_post_at_once(desk: Desk, small_bundle: Path) -> None:
    before, statuses = len(desk.results), []
    phones = [
        threading.Thread(target=lambda: statuses.append(desk.phone.post_result(small_bundle).status)) for _ in range(6)
    ]
    for phone in phones:
        phone.start()
    for phone in phones:
        phone.join()
    assert statuses == [204] * 6 and len(desk.results) == before + 6


def test_progress_is_handed_on_when_it_fits(desk: Desk) -> None:
    good = {"run": "0123456789abcdef", "device": "Pixel 8", "done": 0.5, "text": "int8.tflite"}
    assert desk.phone.ask("progress", good).status == 204 and desk.progress[-1] == PageProgress(**good)
    count = len(desk.progress)
    for wrong in ({}, {**good, "done": 2}, {**good, "done": float("nan")}, {**good, "text": "\x1b[2J"}, [good]):
        assert desk.phone.ask("progress", wrong).status == 400
    assert len(desk.progress) == count


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"run"', b"\xff\xfe{}", b"[" * 200_000, b'{"run": 1}', b'{"run": NaN}', b"[],"]
)
def test_what_is_no_result_is_refused_in_one_line(desk: Desk, body: bytes) -> None:
    reply = desk.phone.ask("result", body)
    assert reply.status == 400 and "\n" not in json.loads(reply.body)["message"]


def raw(server: PhoneServer, data: bytes, timeout_s: float = 10.0) -> bytes:
    """The head of the answer to *data*; less, when the server ends the connection before."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout_s) as connection:
        with contextlib.suppress(OSError):  # it has heard enough
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in received and (part := connection.recv(65536)):
                received += part
    return received


@pytest.mark.parametrize(("path", "most"), [("progress", MOST_PROGRESS_BYTES), ("result", MOST_RESULT_BYTES)])
def test_a_body_that_says_it_is_too_large_is_not_read(desk: Desk, path: str, most: int) -> None:
    head = f"POST /{desk.server.token}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {most + 1}\r\n\r\n"
    assert raw(desk.server, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_how_large_it_is_is_read_to_the_limit(desk: Desk) -> None:
    head = f"POST /{desk.server.token}/progress HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"400\r\n" + b" " * 1024 + b"\r\n"
    assert raw(desk.server, head.encode() + 5 * chunks).startswith(b"HTTP/1.1 413 ")


def test_a_phone_that_goes_in_the_middle_of_a_post_leaves_nothing(desk: Desk, small_bundle: Path) -> None:
    before = len(desk.results)
    body = json.dumps(document(small_bundle, run="00000000000000bb")).encode()
    head = f"POST /{desk.server.token}/result HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", desk.server.port)) as connection:
        connection.sendall(head.encode() + body[:-10])
    assert desk.phone.ask("result", body).status == 204 and len(desk.results) == before + 1


def test_silent_connections_do_not_keep_a_phone_out(desk: Desk) -> None:
    silent = [socket.create_connection(("127.0.0.1", desk.server.port)) for _ in range(100)]
    try:
        for connection in silent[::2]:
            connection.sendall(b"GET / HT")
        assert desk.phone.ask("job.json").status == 200
    finally:
        for connection in silent:
            connection.close()


def test_only_this_machine_is_served_unless_asked(desk: Desk) -> None:
    assert desk.server.addresses == () and urlsplit(desk.server.url).hostname == "localhost"
    listening = Path("/proc/net/tcp").read_text().splitlines()
    port = f":{desk.server.port:04X}"
    assert [line.split()[1] for line in listening if line.split()[1].endswith(port) and line.split()[3] == "0A"] == [
        f"0100007F{port}"
    ]


def test_a_server_for_the_network_and_https_is_reached_by_its_addresses(small_bundle: Path) -> None:
    fetch_litert_js()
    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False)
        with PhoneServer(bundle, job, receive=print, listener=print, host=ANYWHERE, https=True) as server:
            for url in (server.url, *server.addresses):
                assert url.startswith("https://") and Phone(url).ask("job.json").status == 200
            assert b"HTTP/1.1 200" not in raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_a_port_in_use_is_one_line_and_a_free_one_is_kept(desk: Desk, small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False)
        with pytest.raises(UsageError, match=f"port {desk.server.port} is in use"):
            PhoneServer(bundle, job, receive=print, listener=print, port=desk.server.port).__enter__()


def test_a_closed_server_is_gone_at_once_even_with_phones_connected(small_bundle: Path) -> None:
    fetch_litert_js()
    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False)
        with PhoneServer(bundle, job, receive=print, listener=print) as server:
            idle = socket.create_connection(("127.0.0.1", server.port))
            assert Phone(server.url).ask("job.json").status == 200
            began = time.monotonic()
    assert time.monotonic() - began < 30
    with idle, pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port))


def test_a_damaged_file_is_found_before_anything_is_served(small_bundle: Path, tmp_path: Path) -> None:
    fetch_litert_js()
    import zipfile

    with zipfile.ZipFile(small_bundle) as archive:
        archive.extractall(tmp_path / "bundle")
    file = tmp_path / "bundle" / "variants" / "fp32.tflite"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with Bundle.open(tmp_path / "bundle") as bundle, pytest.raises(BundleError, match=r"fp32\.tflite"):
        PhoneServer(bundle, make_job(bundle, SETTINGS, webgpu=False), receive=print, listener=print)


def test_a_bundle_without_tflite_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    with Bundle.open(small_bundle) as bundle:
        manifest = bundle.manifest
        kept = tuple(entry for entry in manifest.variants if entry.format == "pte")
        files = {
            file: bundle.read(file)
            for file in manifest.files
            if not file.startswith("variants/") or file == kept[0].file
        }
    smaller = replace(manifest, variants=kept, recommended={"variant": kept[0].name, "reason": "it is the only one"})
    write_bundle(smaller, files, tmp_path / "pte.edgekit")
    with Bundle.open(tmp_path / "pte.edgekit") as bundle, pytest.raises(EdgekitError, match=r"no \.tflite") as caught:
        make_job(bundle, SETTINGS, webgpu=False)
    assert caught.value.code == "EK-NO-VARIANT"


def test_variants_that_are_named_are_checked(small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False, variants=["int8-dynamic.tflite"])
        assert [entry.name for entry in job.variants] == ["int8-dynamic.tflite"]
        with pytest.raises(UsageError, match=r"no browser runs fp32\.pte"):
            make_job(bundle, SETTINGS, webgpu=False, variants=["fp32.pte"])
        with pytest.raises(UsageError, match="no variant 'int8'"):
            make_job(bundle, SETTINGS, webgpu=False, variants=["int8"])


def test_types_that_browsers_have_no_tensors_for_are_named(small_bundle: Path) -> None:
    from dataclasses import replace

    with Bundle.open(small_bundle) as bundle:
        spec = replace(bundle.manifest.signature.inputs[0], dtype="int8")
        bundle.manifest = replace(bundle.manifest, signature=replace(bundle.manifest.signature, inputs=(spec,)))
        with pytest.raises(EdgekitError, match=r"'image' is int8, and LiteRT\.js knows only float32, int32, uint8"):
            make_job(bundle, SETTINGS, webgpu=False)


def test_phones_measure_for_a_shorter_time_by_default() -> None:
    settings = phone_settings("default", seed=1)
    assert (settings.repeats, settings.seconds, settings.samples) == (5, 5.0, 256)
    assert phone_settings("quick", seed=1).seconds == 1.0 and phone_settings("strict", seed=1).seconds == 60.0
