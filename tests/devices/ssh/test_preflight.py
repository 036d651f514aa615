"""What is read from a device, and what is refused before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.devices.payload import assembly
from edgekit.devices.payload.part import Part
from edgekit.devices.ssh import preflight
from edgekit.devices.ssh.preflight import Facts, read_facts
from edgekit.errors import DeviceError
from edgekit.manifest import Manifest
from edgekit.target import load_target

#: What the agent prints on a Raspberry Pi 4 with Raspberry Pi OS 12, shortened (simulated: no board was at hand).
PI4 = {
    "home": "/home/pi",
    "system": "Linux",
    "kernel_architecture": "aarch64",
    "elf_class": "   2",
    "model": "Raspberry Pi 4 Model B Rev 1.4",
    "cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
    "meminfo": "MemTotal:  3884404 kB\nMemAvailable:  3012345 kB\nSwapFree:  102396 kB\n",
    "os_release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
    "glibc": "glibc 2.36",
    "page_bytes": "4096",
    "disk": "/dev/mmcblk0p2  30000000 9000000  21000000  30% /",
    "missing_tools": "",
    "python": "3.11.2|8||/usr/bin/python3.11",
    "parts": "aa\nbb\n",
    "apps": "digits|two|one|one two \nempty|||\n",
}


def facts(**changed: str) -> Facts:
    return read_facts("".join(f"\n== {name}\n{text}\n" for name, text in {**PI4, **changed}.items()))


@pytest.fixture(scope="module")
def manifest(small_bundle: Path) -> Manifest:
    with Bundle.open(small_bundle) as bundle:
        return bundle.manifest


def refusal(facts: Facts, manifest: Manifest) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        preflight.refuse("board", facts, manifest)
    assert caught.value.code == "EK-DEVICE" and "\n" not in caught.value.message
    return caught.value


def test_a_raspberry_pi(manifest: Manifest) -> None:
    found = facts()
    assert load_target("rpi4").is_machine(found.machine.board, found.machine.architecture)
    assert (found.machine.cpu, found.machine.features, found.machine.glibc) == ("cortex-a72", ("neon",), "2.36")
    assert (found.machine.python, found.python_path, found.numpy) == ("3.11.2", "/usr/bin/python3.11", None)
    assert found.free_disk_bytes == 21_000_000 * 1024 and found.machine.free_memory_bytes == 3012345 * 1024
    assert found.inventory.parts == {"aa", "bb"}
    digits, empty = found.inventory.apps["digits"], found.inventory.apps["empty"]
    assert (digits.current, digits.previous, digits.releases) == ("two", "one", ("one", "two"))
    assert (empty.current, empty.releases) == (None, ())
    preflight.refuse("board", found, manifest)


def test_the_best_python_is_taken(manifest: Manifest) -> None:
    both = facts(python="3.9.2|8||/usr/bin/python3.9\n3.12.1|8|1.26.4|/opt/python/bin/python3.12")
    assert (both.machine.python, both.python_path, both.numpy) == ("3.12.1", "/opt/python/bin/python3.12", "1.26.4")
    assert facts(python="3.9.2|8||/usr/bin/python3.9").machine.python == "3.9.2"


def test_without_python_the_programs_tell_the_architecture() -> None:
    found = facts(python="", elf_class=" 1")
    assert (found.machine.architecture, found.machine.kernel_architecture) == ("armv7l", "aarch64")
    assert found.python_path is None and assembly.why_no_python(found.machine) == "no Python"
    assert facts(python="").machine.architecture == "aarch64"


def test_a_32_bit_userland_under_a_64_bit_kernel_runs_no_pte(small_bundle: Path) -> None:
    found = facts(python="3.11.2|4|1.24.2|/usr/bin/python3.11")
    assert found.machine.architecture == "armv7l"
    with Bundle.open(small_bundle) as bundle, pytest.raises(DeviceError, match=r"no executorch .* for armv7l"):
        kept = tuple(entry for entry in bundle.manifest.variants if entry.format == "pte")
        bundle.manifest = replace(bundle.manifest, variants=kept)
        assembly.parts_for(
            found.machine, assembly.formats_of(bundle.manifest), system_numpy=found.numpy, log=print, download=False
        )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("glibc 2.31", "2.31"),
        ("ldd (Debian GLIBC 2.36-9+deb12u10) 2.36", "2.36"),
        ("ldd (GNU libc) 2.41", "2.41"),
        ("musl libc (aarch64)", None),
        ("", None),
    ],
)
def test_glibc(text: str, version: str | None) -> None:
    assert facts(glibc=text).machine.glibc == version


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"system": "Darwin"}, "board runs Darwin, not Linux"),
        ({"disk": f"{PI4['disk']}\nnot writable"}, "/home/pi cannot be written"),
        ({"meminfo": "MemTotal: 400000 kB\nMemAvailable: 30000 kB\nSwapFree: 0 kB"}, "29 MiB of memory free, 48 MiB"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(manifest: Manifest, changed: dict[str, str], words: str) -> None:
    assert words in refusal(facts(**changed), manifest).message


def test_programs_that_are_missing_are_named() -> None:
    with pytest.raises(DeviceError, match="lacks flock, od"):
        facts(missing_tools="flock\nod", python="", elf_class="")


def test_a_disk_that_cannot_hold_it_unpacked_is_refused_before_anything_is_sent() -> None:
    part = Part("numpy", "0" * 64, Path("numpy.tar.gz"), 14_000_000, 40_000_000, ("",))
    found = replace(facts(), free_disk_bytes=60_000_000)
    with pytest.raises(DeviceError, match=r"60 MB of disk free, 8[0-9] MB are needed"):
        preflight.check_space("board", found, [part], 10_000)
    preflight.check_space("board", replace(found, free_disk_bytes=100_000_000), [part], 10_000)
    preflight.check_space("board", replace(found, free_disk_bytes=0), [], 0)  # everything is there already


def test_another_board_than_the_targets_is_a_warning(manifest: Manifest) -> None:
    assert preflight.warnings(facts(), replace(manifest, target="rpi4")) == []
    (line,) = preflight.warnings(facts(), replace(manifest, target="rpi5"))
    assert line == "the bundle was built for Raspberry Pi 5, this is Raspberry Pi 4 Model B Rev 1.4"
    assert preflight.warnings(facts(), replace(manifest, target="linux-arm64")) == []
    assert preflight.warnings(facts(), replace(manifest, target="a board of my own")) == []


@pytest.mark.parametrize(
    "changed", [{"home": ""}, {"home": "pi"}, {"home": "/a\x1b[2J"}, {"kernel_architecture": "\x1b"}]
)
def test_an_unreadable_description_is_an_error_of_the_device(changed: dict[str, str]) -> None:
    with pytest.raises(DeviceError, match="unreadable"):
        facts(**changed)


@pytest.mark.parametrize(
    ("section", "text", "field", "value"),
    [
        ("disk", "", "free_disk_bytes", None),
        ("disk", "1 2 " + "9" * 5000 + " 5%", "free_disk_bytes", None),
        ("disk", "%" * 100_000, "free_disk_bytes", None),
        ("python", "", "python_path", None),
        ("python", "3.11.2|8||relative/python\n3.12.1|8||/usr/bin/python3.12", "python_path", "/usr/bin/python3.12"),
        ("python", "x|y\n3.11.2|8||/usr/bin/python3.11", "python_path", "/usr/bin/python3.11"),
        ("python", "3.11.2|8|1.\x1b[2J|/usr/bin/python3.11", "numpy", None),
        ("system", "Linux\x1b]0;owned\x07", "system", ""),
        ("page_bytes", "x", "machine.page_bytes", 4096),
        ("page_bytes", "9" * 5000, "machine.page_bytes", 4096),
        ("glibc", "glibc" * 20_000, "machine.glibc", None),
        ("meminfo", "MemTotal: " + "9" * 5000 + " kB", "machine.memory_bytes", None),
        ("cpuinfo", "processor\t: " + "9" * 5000, "machine.cores", 1),
        ("cpuinfo", "CPU implementer : 0x41\nCPU part : 0xzz", "machine.cpu", "0xzz"),
        ("model", "Pi\x1b[2J\u202e", "machine.board", "Pi\\x1b[2J\\u202e"),
    ],
)
def test_a_fact_that_cannot_be_is_unknown_and_the_rest_is_kept(
    section: str, text: str, field: str, value: object
) -> None:
    found = facts(**{section: text})
    assert attrgetter(field)(found) == value
    assert found.home == "/home/pi" and found.inventory.apps["digits"].current == "two"


def test_an_app_that_cannot_be_is_left_out() -> None:
    odd = "a|b\n../x|1|2|3\ndigits|two|one|one two\ndigits|x|y|z\n" + "|" * 100_000
    apps = facts(apps=odd).inventory.apps
    assert {name: app.current for name, app in apps.items()} == {"digits": "two"}
