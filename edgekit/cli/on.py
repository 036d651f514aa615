"""The option that names devices: its help lists those that can do what the verb asks, other packages' among them."""

from __future__ import annotations

from typing import Any

import click


class On(click.Option):
    """``--on DEVICE``, for devices with *ability* (a protocol of `edgekit.devices.base`, by name)."""

    def __init__(self, *arguments: Any, ability: str, **options: Any):
        super().__init__(*arguments, **options)
        self._ability = ability

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from edgekit.devices.kinds import written

        names, record = written(self._ability), super().get_help_record(context)
        return record and (record[0], f"{names}. {record[1]}")
