"""Fixtures of the tests that convert PyTorch models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.torch_nets import Nets


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Nets:
    from support.torch_nets import Nets

    return Nets(tmp_path_factory.mktemp("nets"))
