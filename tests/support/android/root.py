"""What one simulated device has of its own, laid over what all have: the kernel's files, and its storage."""

from __future__ import annotations

from pathlib import Path

from support.android import phone as facts
from support.android.phone import Phone
from support.namespaces import BIND, NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY, REMOUNT, mount

#: Directories to mount something on.
MOUNT_POINTS = ("proc", "sys", "dev", "vendor", "data/local/tmp", "sdcard")


def fill(root: Path, phone: Phone) -> None:
    """Mount it all on *root*, in namespaces of the caller's own."""
    mount(root, root, "none", BIND)
    mount(root, root, "none", BIND | REMOUNT | READ_ONLY)
    for name in ("sys", "dev", "vendor"):
        mount("tmpfs", root / name, "tmpfs", NO_SUID, "mode=755")
    for path, text in {
        **facts.kernel_files(phone),
        "vendor/build.prop": facts.build_prop(phone),
        "vendor/dumpsys/thermalservice": facts.thermal_report(0, 41.2, 31.6),
        "vendor/dumpsys/battery": facts.battery_report(83, 29.8, charging=True),
    }.items():
        # /proc is the kernel's: what differs there is laid over its files.
        file = root / ("vendor" if path.startswith("proc/") else "") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for link, target in facts.kernel_links(phone).items():
        (root / link).symlink_to(target)
    mount("proc", root / "proc", "proc")
    for name in ("cpuinfo", "meminfo"):
        mount(root / "vendor/proc" / name, root / "proc" / name, "none", BIND)
    for name in ("null", "zero", "full", "random", "urandom"):
        (root / "dev" / name).touch()
        mount(f"/dev/{name}", root / "dev" / name, "none", BIND)
    (root / "dev/fd").symlink_to("/proc/self/fd")
    size = f"size={phone.storage_mib}m,uid=2000,gid=2000"
    mount("tmpfs", root / "data/local/tmp", "tmpfs", NO_SUID | NO_DEVICES, f"{size},mode=771")
    mount("tmpfs", root / "sdcard", "tmpfs", NO_SUID | NO_DEVICES | NO_EXEC, f"{size},mode=770")
