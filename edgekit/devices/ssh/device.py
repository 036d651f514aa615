"""A device behind SSH: deployed to and run on, over one connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from edgekit import display
from edgekit.bundle import Bundle
from edgekit.devices.base import Checkup, Closing, RunRequest, RunResult, VerifyRequest
from edgekit.devices.payload import assembly
from edgekit.devices.runner import session as runner_session
from edgekit.devices.runner.inference import WithRunner
from edgekit.devices.ssh import deployment
from edgekit.devices.ssh import session as python_session
from edgekit.devices.ssh.address import CONNECT_S, Address
from edgekit.devices.ssh.deployment import Deployment, Plan, Rollback, Sender
from edgekit.devices.ssh.execution import Execution, ShellHost, execution, prove
from edgekit.devices.ssh.preflight import Facts, read_inventory
from edgekit.devices.ssh.shell import Shell
from edgekit.display import Log
from edgekit.errors import DeviceError
from edgekit.runtime.checkup import machine_lines, matching_target
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.events import Listener, log_to
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.records import NOT_RUN, Cell
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.verification import Verification

#: ssh's own limit, twice (a jump host), and a slow login.
_START_S = 2 * CONNECT_S + 20


def open_ssh(name: str) -> SshDevice:
    """The device ``ssh://[USER@]HOST[:PORT]``. Connects when it is first used.

    Raises:
        UsageError: ``EK-ARGUMENT``: the address is malformed.
    """
    return SshDevice(name, Address.parse(name))


class SshDevice(Closing):
    """A Linux machine that the system's ``ssh`` reaches without a password."""

    emulated = False

    def __init__(self, name: str, address: Address):
        self.name = name
        self._address = address
        self._shell: Shell | None = None

    def facts(self) -> Facts:
        """What the device is, and what edgekit has put there."""
        return deployment.read_facts(self._connected())

    def examine(self) -> Checkup:
        facts = self.facts()
        target = matching_target(facts.machine)
        formats = {format: assembly.why_not(format, facts.machine, facts.numpy) for format in assembly.sent_formats()}
        apps = facts.inventory.apps
        document = {
            "device": self.name,
            "machine": asdict(facts.machine),
            "matches_target": target,
            "free_disk_bytes": facts.free_disk_bytes,
            "python_path": facts.python_path,
            "formats": assembly.outlook(formats),
            "apps": {app: asdict(known) for app, known in apps.items()},
        }
        memory = facts.machine.free_memory_bytes
        deployed = [f"{name}: {app.current} is current" for name, app in sorted(apps.items()) if app.current]
        lines = (
            *machine_lines(facts.machine, target),
            f"free      {display.size(facts.free_disk_bytes)} of disk, {display.size(memory)} of memory",
            "",
            *assembly.outlook_lines(formats),
            "",
            *(deployed or ["nothing is deployed there"]),
        )
        return Checkup(document, lines)

    def deploy(self, bundle: Path, listener: deployment.Listener) -> Deployment:
        """Make *bundle* the current release of its name (see `edgekit.devices.ssh.deployment.deploy`)."""
        with Bundle.open(bundle) as opened:
            shell = self._connected()
            return deployment.deploy(
                self.name,
                shell,
                opened,
                prove=lambda plan: prove(self.name, execution(self.name, shell, plan, opened), opened),
                listener=listener,
            )

    def rollback(self, name: str | None) -> Rollback:
        """Make the release before the current one current again (see `edgekit.devices.ssh.deployment.rollback`)."""
        return deployment.rollback(self.name, self._connected(), name)

    def run(self, bundle: Path, request: RunRequest, log: Log) -> RunResult:
        with self._released(bundle, log) as release:
            return release.run(request)

    def verify(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        with self._released(bundle, log) as release:
            return release.verify(request, log)

    def machine(self) -> Machine:
        return self.facts().machine

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """As `edgekit.devices.base.Measures.profile`; a bundle that cannot work there is rows that say why."""
        shell = self._connected()
        with ExitStack() as stack:
            ready: list[tuple[Plan, Bundle]] = []
            refused: list[tuple[Bundle, DeviceError]] = []
            for opened in [stack.enter_context(Bundle.open(bundle)) for bundle in bundles]:
                try:
                    # Two bundles of one name share a folder there, where sending one removes the other.
                    plan = self._provided(shell, opened, log_to(listener), not ready)
                    ready.append((plan, opened))
                except DeviceError as error:
                    if error.code == "EK-CONNECT" or len(bundles) == 1:
                        raise
                    refused.append((opened, error))
            if not ready:
                raise refused[0][1]
            plans, chosen = zip(*ready, strict=True)
            if plans[0].has_python:
                record, cells = python_session.run_session(self.name, shell, plans, chosen, request, listener=listener)
            else:
                runners = [WithRunner(ShellHost(self.name, shell, plan), bundle) for plan, bundle in ready]
                machine = plans[0].facts.machine
                record, cells = runner_session.run_session(self.name, machine, runners, request, listener=listener)
            return record, (*cells, *(cell for bundle, error in refused for cell in self._refused(bundle, error)))

    def close(self) -> None:
        """End the connection."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def _connected(self) -> Shell:
        if self._shell is None:
            self._shell = Shell.start(
                self.name, self._address.command(), timeout_s=_START_S, explain=self._address.failure
            )
        return self._shell

    @contextmanager
    def _released(self, bundle: Path, log: Log) -> Iterator[Execution]:
        """The bundle as a release that is on the device, whether or not it is the current one."""
        shell = self._connected()
        with Bundle.open(bundle) as opened:
            yield execution(self.name, shell, self._provided(shell, opened, log), opened)

    def _provided(self, shell: Shell, bundle: Bundle, log: Log, prune: bool = True) -> Plan:
        """The plan of *bundle*, all of which is on the device then."""
        plan = deployment.make_plan(self.name, deployment.read_facts(shell), bundle, log)
        if not plan.is_complete(plan.facts.inventory):
            self._send(shell, plan, log, prune)
        return plan

    def _send(self, shell: Shell, plan: Plan, log: Log, prune: bool) -> None:
        deployment.lock(self.name, shell)
        inventory = read_inventory(shell.do("inventory"))
        sender = Sender(self.name, shell, plan.facts.home, lambda event: None)
        log(f"sending what {self.name} lacks")
        sender.provide(plan, inventory)
        if prune:
            shell.ask("prune", plan.release.app, plan.release.id, timeout_s=deployment.INSTALL_S)
        shell.do("unlock")

    def _refused(self, bundle: Bundle, error: DeviceError) -> Iterator[Cell]:
        sha256 = BundleRecord.of(bundle).sha256
        for variant in bundle.manifest.variants:
            for engine in variant.engines:
                yield Cell(self.name, sha256, variant.name, engine, None, NOT_RUN, error.message)
