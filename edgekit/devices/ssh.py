"""A device behind SSH: deployed to and run on, over one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.devices import deployment
from edgekit.devices.base import RunResult
from edgekit.devices.deployment import Deployment, Plan, Progress, Rollback, Sender
from edgekit.devices.execution import Execution, execution, prove
from edgekit.devices.preflight import Facts, read_inventory
from edgekit.devices.shell import Shell
from edgekit.devices.ssh_connection import CONNECT_S, Address
from edgekit.runtime.verification import Verification

#: ssh's own limit, twice (a jump host), and a slow login.
_START_S = 2 * CONNECT_S + 20


def open(name: str) -> SshDevice:
    """The device ``ssh://[USER@]HOST[:PORT]``. Connects when it is first used.

    Raises:
        UsageError: ``EK-ARGUMENT``: the address is malformed.
    """
    return SshDevice(name, Address.parse(name))


class SshDevice:
    """A Linux machine that the system's ``ssh`` reaches without a password."""

    emulated = False

    def __init__(self, name: str, address: Address):
        self.name = name
        self._address = address
        self._shell: Shell | None = None

    def facts(self) -> Facts:
        """What the device is, and what edgekit has put there."""
        return deployment.read_facts(self._connected())

    def deploy(self, bundle: Path, *, report: Callable[[str], None], progress: Progress) -> Deployment:
        """Make *bundle* the current release of its name (see `edgekit.devices.deployment.deploy`)."""
        with Bundle.open(bundle) as opened:
            shell = self._connected()
            return deployment.deploy(
                self.name,
                shell,
                opened,
                prove=lambda plan: prove(self.name, shell, plan, opened),
                report=report,
                progress=progress,
            )

    def rollback(self, name: str | None) -> Rollback:
        """Make the release before the current one current again (see `edgekit.devices.deployment.rollback`)."""
        return deployment.rollback(self.name, self._connected(), name)

    def run(
        self,
        bundle: Path,
        inputs: Mapping[str, np.ndarray],
        *,
        variant: str | None,
        engine: str | None,
        threads: int | None,
        report: Callable[[str], None],
    ) -> RunResult:
        with self._released(bundle, report) as release:
            return release.run(inputs, variant=variant, engine=engine, threads=threads)

    def verify(
        self, bundle: Path, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        with self._released(bundle, report) as release:
            return release.verify(variant=variant, threads=threads, report=report)

    def close(self) -> None:
        """End the connection."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def __enter__(self) -> SshDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> Shell:
        if self._shell is None:
            self._shell = Shell.start(
                self.name, self._address.command(), timeout_s=_START_S, explain=self._address.failure
            )
        return self._shell

    @contextmanager
    def _released(self, bundle: Path, report: Callable[[str], None]) -> Iterator[Execution]:
        """The bundle as a release that is on the device, whether or not it is the current one."""
        shell = self._connected()
        with Bundle.open(bundle) as opened:
            plan = deployment.make_plan(self.name, deployment.read_facts(shell), opened, report)
            if not plan.is_complete(plan.facts.inventory):
                self._send(shell, plan, report)
            yield execution(self.name, shell, plan, opened)

    def _send(self, shell: Shell, plan: Plan, report: Callable[[str], None]) -> None:
        deployment.lock(self.name, shell)
        inventory = read_inventory(shell.do("inventory"))
        sender = Sender(self.name, shell, plan.facts.home, lambda name, done, total: None)
        report(f"sending what {self.name} lacks")
        sender.provide(plan, inventory)
        shell.ask("prune", plan.release.app, plan.release.id, timeout_s=deployment.INSTALL_S)
        shell.do("unlock")
