"""The option that names devices: its help lists those that can do what the verb asks, other packages' among them."""

from __future__ import annotations

from typing import Any

import click


class On(click.Option):
    """``--on DEVICE``, for devices with *ability* (a protocol of `edgekit.devices.base`, by name)."""

    def __init__(self, *arguments: Any, ability: str, **options: Any):
        self._ability, self._more = ability, ""
        super().__init__(*arguments, **options)

    @property
    def help(self) -> str:
        """Put together when it is shown: other packages are asked for their devices."""
        from edgekit.devices.kinds import written

        return " ".join(filter(None, (f"{written(self._ability)}.", self._more)))

    @help.setter
    def help(self, text: str | None) -> None:
        self._more = text or ""
