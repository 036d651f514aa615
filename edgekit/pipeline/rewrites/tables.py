"""Which rules each converter needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.pipeline.rewrites import activations, arithmetic, padding, resizing, spectrum

#: Operators that some converter lacks, or computes wrong.
COMMON: dict[Any, Callable[..., Any]] = {**arithmetic.RULES, **padding.RULES, **spectrum.RULES, **activations.COMMON}

LITERT = {**COMMON, **resizing.RULES}
