"""Files of weights for PyTorch modules: what ``torch.save`` writes, or safetensors; told apart by what is in them."""

from __future__ import annotations

from edgekit.runtime.contents import safetensors, state_dict
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.contents.safetensors import SafeTensors
from edgekit.runtime.contents.state_dict import StateDict

#: How an archive begins, and a pickle, which earlier versions wrote alone.
_TORCH = (b"PK", b"\x80")


def read(data: bytes) -> StateDict | SafeTensors:
    """Read and check a file of weights. Raises as `edgekit.runtime.contents.check`."""
    if safetensors.is_safetensors(data):
        return safetensors.read(data)
    if not data.startswith(_TORCH):
        raise Malformed("it is neither a .safetensors file nor what torch.save writes")
    return state_dict.read(data)
