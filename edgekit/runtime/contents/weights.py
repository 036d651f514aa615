"""Files of weights for PyTorch modules: what ``torch.save`` writes, or safetensors; told apart by what is in them."""

from __future__ import annotations

from edgekit.runtime.contents import safetensors, state_dict
from edgekit.runtime.contents.safetensors import SafeTensors
from edgekit.runtime.contents.state_dict import StateDict


def read(data: bytes) -> StateDict | SafeTensors:
    """Read and check a file of weights. Raises as `edgekit.runtime.contents.check`."""
    return safetensors.read(data) if safetensors.is_safetensors(data) else state_dict.read(data)
