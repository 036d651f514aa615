"""Which rules each converter needs."""

from __future__ import annotations

from edgekit.pipeline.rewrites import activations, arithmetic, padding, resizing, spectrum

#: Operators that some converter lacks, or computes wrong.
COMMON = {**arithmetic.RULES, **padding.RULES, **spectrum.RULES, **activations.COMMON}

LITERT = {**COMMON, **resizing.RULES}
EXECUTORCH = {"xnnpack": {**COMMON, **activations.XNNPACK}, "vulkan": COMMON, "coreml": COMMON}
