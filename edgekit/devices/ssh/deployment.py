"""Putting a bundle on a device, behind a shell: parts, a release, one switch; and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from edgekit import display
from edgekit.bundle import Bundle
from edgekit.devices.payload import assembly
from edgekit.devices.payload.part import Part
from edgekit.devices.payload.release import Release, make_release
from edgekit.devices.ssh import preflight
from edgekit.devices.ssh.preflight import Facts, Inventory
from edgekit.devices.ssh.shell import Shell
from edgekit.devices.transport import described
from edgekit.display import Log
from edgekit.errors import DeviceError, UsageError, did_you_mean
from edgekit.runtime.profiler.events import Note, log_to

#: How much goes with one request: small enough that the device is heard of often, and a cut loses little.
CHUNK_BYTES = 1 << 20

#: A deployment that was cut off has its half on the device end within this time, unless the disk there is very slow.
LOCK_WAIT_S = 15
#: A slow board with a slow card needs so long for the largest part, and more.
INSTALL_S = 600
#: What is shown of whoever holds the lock.
_HOLDER_CHARACTERS = 200
#: Exit codes of the agent.
_LOCKED, _DAMAGED = 75, 65


@dataclass(frozen=True)
class Plan:
    """A bundle and the device it goes to, before anything is sent."""

    facts: Facts
    release: Release
    warnings: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Of the release, below ``~/edgekit``."""
        return f"apps/{self.release.app}/releases/{self.release.id}"

    @property
    def path(self) -> str:
        """The same from the root on."""
        return f"{self.facts.home}/edgekit/{self.folder}"

    @property
    def has_python(self) -> bool:
        """Whether it runs in Python there; otherwise by its own runner."""
        return any(part.runner is None for part in self.release.parts)

    def is_complete(self, inventory: Inventory) -> bool:
        """Whether nothing has to be sent."""
        return self.is_release_there(inventory) and not self.missing_parts(inventory)

    def missing_parts(self, inventory: Inventory) -> list[Part]:
        return [part for part in self.release.parts if part.digest not in inventory.parts]

    def is_release_there(self, inventory: Inventory) -> bool:
        app = inventory.apps.get(self.release.app)
        return app is not None and self.release.id in app.releases


@dataclass(frozen=True)
class Sending:
    """How much of a part is there of what is sent."""

    name: str
    done_bytes: int
    total_bytes: int


Listener = Callable[[Note | Sending], None]


@dataclass(frozen=True)
class Deployment:
    """What a deployment did.

    Attributes:
        app: The bundle's name on the device.
        release, previous: Names of the current release and of the one before, or None.
        changed: Whether another release was current before.
        sent_bytes: Archives that were sent; 0 when everything was there.
        parts: Those of the release, with whether each was sent.
        path: Of the current release on the device: stays the same when another one is deployed.
        has_python: Whether the release runs in Python there; otherwise by its own runner.
        warnings: One line each.
    """

    app: str
    release: str
    previous: str | None
    changed: bool
    sent_bytes: int
    parts: tuple[tuple[Part, bool], ...]
    path: str
    has_python: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Rollback:
    """What a rollback did: `release` is current now, `previous` was."""

    app: str
    release: str
    previous: str


def read_facts(shell: Shell) -> Facts:
    """What the device is."""
    return preflight.read_facts(shell.do("facts", *preflight.PROGRAMS))


def make_plan(device: str, facts: Facts, bundle: Bundle, log: Log) -> Plan:
    """Decide what *bundle* takes on the device, and get it ready here.

    Raises:
        BundleError: A file of the bundle is damaged.
        DeviceError: ``EK-DEVICE``: it cannot work there.
        EdgekitError: ``EK-MISSING-PACKAGE``: this machine lacks what would be sent.
    """
    preflight.refuse(device, facts, bundle.manifest)
    formats = assembly.formats_of(bundle.manifest)
    parts = assembly.parts_for(facts.machine, formats, system_numpy=facts.numpy, log=log)
    python = facts.python_path if assembly.why_no_python(facts.machine) is None else None
    return Plan(facts, make_release(bundle, parts, python), tuple(preflight.warnings(facts, bundle.manifest)))


class Sender:
    """Sends archives over a shell that has the device's lock."""

    def __init__(self, device: str, shell: Shell, home: str, listener: Listener):
        self.sent_bytes = 0
        self._incoming = f"{home}/edgekit/incoming"
        self._device = device
        self._shell = shell
        self._listener = listener

    def provide(self, plan: Plan, inventory: Inventory) -> None:
        """Send what the device lacks of *plan*; everything that is there bears its name only when it is complete.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: the connection broke, or the disk is full.
        """
        missing = plan.missing_parts(inventory)
        release = None if plan.is_release_there(inventory) else plan.release.archive()
        preflight.check_space(self._device, plan.facts, missing, plan.release.unpacked_bytes if release else 0)
        digest = "" if release is None else hashlib.sha256(release).hexdigest()
        self._shell.do("clean", *(part.digest for part in missing), digest)
        for part in missing:
            self._install(part.name, part.digest, part.archive.read_bytes(), f"parts/{part.digest}")
        if release is not None:
            self._install(f"release {plan.release.id}", digest, release, plan.folder)

    def _install(self, name: str, digest: str, archive: bytes, destination: str) -> None:
        file = f"{self._incoming}/{digest}.tar.gz"
        resumed = 0 < self._size_bytes(file) < len(archive)
        if not resumed:
            self._shell.do("discard", file)
        self._send(name, file, archive)
        answer = self._shell.ask("install", digest, destination, timeout_s=INSTALL_S)
        if answer.status == _DAMAGED and resumed:  # what an earlier deployment had left was damaged, most likely
            self._send(name, file, archive)
            answer = self._shell.ask("install", digest, destination, timeout_s=INSTALL_S)
        answer.must(self._device)

    def _size_bytes(self, file: str) -> int:
        said = described.whole(self._shell.do("size", file))
        if said is None:
            raise DeviceError("EK-DEVICE", f"{self._device} does not say how much it has of what is sent")
        return said

    def _send(self, name: str, file: str, archive: bytes) -> None:
        there = self._size_bytes(file)
        self._listener(Sending(name, there, len(archive)))
        while there < len(archive):
            chunk = archive[there : there + CHUNK_BYTES]
            self._shell.do("put", file, str(there), str(len(chunk)), payload=chunk, timeout_s=INSTALL_S)
            there += len(chunk)
            self.sent_bytes += len(chunk)
            self._listener(Sending(name, there, len(archive)))


def lock(device: str, shell: Shell) -> None:
    """Work alone on the device from now on.

    Raises:
        DeviceError: ``EK-DEVICE``: somebody else does; the message says who.
    """
    answer = shell.ask("lock", str(LOCK_WAIT_S))
    if answer.status == _LOCKED:
        who, _, since = display.one_line(answer.output.strip(), _HOLDER_CHARACTERS).partition("|")
        held = f"by {who} since {since} (the device's clock)" if since else "by another deployment"
        raise DeviceError("EK-DEVICE", f"{device} is being deployed to {held}", "try again when that is done")
    answer.must(device)


def deploy(
    device: str, shell: Shell, bundle: Bundle, *, prove: Callable[[Plan], None], listener: Listener
) -> Deployment:
    """Make *bundle* the current release of its name on the device.

    Whatever goes wrong, and whenever, what was current before is current still, and works.

    Args:
        prove: Runs the new release on the device before it becomes current, and raises when it does not work.
        listener: Called with a `Note` for each slow step, and with how much of what is sent is there.

    Raises:
        BundleError, DeviceError, EdgekitError: As `make_plan` and `Sender.provide`, and what *prove* raises.
    """
    log = log_to(listener)
    plan = make_plan(device, read_facts(shell), bundle, log)
    app, release = plan.release.app, plan.release.id
    inventory = plan.facts.inventory
    if _is_current(plan, inventory):
        return _result(plan, inventory, inventory, 0)
    lock(device, shell)
    inventory = preflight.read_inventory(shell.do("inventory"))
    sender = Sender(device, shell, plan.facts.home, listener)
    sender.provide(plan, inventory)
    log("trying it on the device")
    try:
        prove(plan)
    except DeviceError as error:
        if error.code != "EK-CONNECT":
            shell.ask("discard", f"{plan.facts.home}/edgekit/{plan.folder}")
        raise
    shell.do("switch", app, release)
    # The new release is current: nothing that follows may make this a failure.
    shell.ask("prune", app, release, timeout_s=INSTALL_S)
    after = preflight.read_inventory(shell.ask("inventory").output)
    return _result(plan, inventory, after, sender.sent_bytes)


def rollback(device: str, shell: Shell, name: str | None) -> Rollback:
    """Make the release before the current one current again; once more swaps them back.

    Args:
        name: Of the bundle; needed where several are deployed.

    Raises:
        UsageError: ``EK-ARGUMENT``: no such bundle is there, or there are several.
        DeviceError: ``EK-DEVICE``: there is no earlier release.
    """
    lock(device, shell)
    apps = preflight.read_inventory(shell.do("inventory")).apps
    deployed = sorted(app for app, facts in apps.items() if facts.current)
    if name is None and len(deployed) > 1:
        raise UsageError("EK-ARGUMENT", f"{device} has several bundles", f"name one of {', '.join(deployed)}")
    if not deployed:
        raise DeviceError("EK-DEVICE", f"nothing is deployed on {device}", "edgekit deploy BUNDLE --on DEVICE")
    app = name or deployed[0]
    if app not in deployed:
        raise UsageError("EK-ARGUMENT", f"{device} has no bundle {app!r}", did_you_mean(app, deployed))
    shell.do("rollback", app)
    after = preflight.read_inventory(shell.do("inventory")).apps.get(app)
    if after is None:
        raise DeviceError("EK-DEVICE", f"{device} does not say what is current now", f"edgekit doctor {device}")
    return Rollback(app, after.current or "", after.previous or "")


def _is_current(plan: Plan, inventory: Inventory) -> bool:
    app = inventory.apps.get(plan.release.app)
    return app is not None and app.current == plan.release.id and plan.is_complete(inventory)


def _result(plan: Plan, before: Inventory, after: Inventory, sent_bytes: int) -> Deployment:
    app = plan.release.app
    known = before.apps.get(app)
    now = after.apps.get(app)
    return Deployment(
        app=app,
        release=plan.release.id,
        previous=now.previous if now is not None else None,
        changed=known is None or known.current != plan.release.id,
        sent_bytes=sent_bytes,
        parts=tuple((part, part.digest not in before.parts) for part in plan.release.parts),
        path=f"{plan.facts.home}/edgekit/apps/{app}/current",
        has_python=plan.has_python,
        warnings=plan.warnings,
    )
