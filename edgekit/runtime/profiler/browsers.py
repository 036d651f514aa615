"""A browser, as the record of a device has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Browser:
    """A browser, as it describes itself. What it does not tell is None.

    Attributes:
        user_agent, platform, mobile, model: Who it says it is; the model of the phone, which few tell.
        cores: That it shows, which may be fewer than there are.
        memory_gib: Rounded, and never more than 8.
        secure_context, cross_origin_isolated: What threads and WebGPU, and threads and exact timers, depend on.
        relaxed_simd: Whether its WebAssembly has these instructions, which int8 gains from.
        webgpu, webgpu_adapter: Whether it has WebGPU, and on what.
        automated: Whether a program drives it, or it only poses as a phone: its figures are no phone's.
        timer_resolution_us: The least time that it can tell.
        screen: Width, height and pixel ratio: ``412x839@2``.
        litert_js: Version of the runtime.
    """

    user_agent: str
    platform: str
    mobile: bool | None
    model: str | None
    cores: int
    memory_gib: float | None
    secure_context: bool
    cross_origin_isolated: bool
    relaxed_simd: bool
    webgpu: bool
    webgpu_adapter: str | None
    automated: bool
    timer_resolution_us: float
    screen: str
    litert_js: str


@dataclass(frozen=True)
class BrowserRecord(Browser):
    """A browser that ran a page of measurements.

    Attributes:
        connection: How the page came to it: ``localhost``, ``https`` or ``http``.
        why_threads: Which threads it got and why, in the page's own words.
        started: When the measurement began by its clock, as ISO 8601.
    """

    connection: Literal["localhost", "https", "http"]
    why_threads: str
    started: str
