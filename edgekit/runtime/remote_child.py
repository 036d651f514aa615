"""The child half of `edgekit.runtime.remote`: opens and runs models at the host's word, over its own pipes.

Run as ``python -m edgekit.runtime.remote_child``. What an engine prints on standard output goes to standard error.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from edgekit.runtime import frames
from edgekit.runtime.confinement import confine, confine_addresses
from edgekit.runtime.engines import Session, open_session
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.engines.base import failure
from edgekit.tensors import Signature, TensorSpec


def main() -> None:
    confine()
    server = _Server()
    frames.serve(server.perform, lambda error: failure(server.engine, "take the model file", error))


class _Server:
    """At most one open session.

    Attributes:
        engine: Name of the one that was asked for last.
    """

    def __init__(self) -> None:
        self.engine = "the engine"
        self._session: Session | None = None
        self._signature: Signature | None = None

    def perform(self, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        if header["do"] == "run":
            assert self._session is not None and self._signature is not None
            if "shapes" not in header:
                return {}, frames.pack(self._session.run(frames.unpack(body, self._signature.inputs)))
            resized = frames.shaped(self._signature.inputs, header["shapes"])
            results = self._session.run(frames.unpack(body, resized))
            return {"shapes": [array.shape for array in results]}, frames.pack(results)
        if header["do"] == "measure outputs":
            assert self._session is not None and self._signature is not None
            outputs = self._session.run(frames.unpack(body, self._signature.inputs))
            names = (f"output_{number}" for number in range(len(outputs)))
            specs = (
                TensorSpec(name, array.shape, array.dtype.name) for name, array in zip(names, outputs, strict=True)
            )
            return {"outputs": [spec.to_json() for spec in specs]}, b""
        if header["do"] == "run marked":
            assert self._session is not None and self._signature is not None
            self._run_marked(frames.unpack(body, self._signature.inputs), header["times"])
            return {}, b""
        if self._session is not None:
            self._session.close()
            self._session = None
        if header["do"] == "close":
            return {}, b""
        self.engine = header["engine"]
        if find_engine(self.engine).accelerator == "cpu":
            confine_addresses()
        self._signature = Signature.from_json(header["signature"])
        self._session = open_session(
            self.engine, body, header["format"], self._signature, header["threads"], header["method"]
        )
        return {"threads": self._session.threads}, b""

    def _run_marked(self, inputs: list[np.ndarray], times: int) -> None:
        """Run again and again, each time between two system calls that an instruction counter looks for."""
        assert self._session is not None
        run, mark = self._session.run, os.getppid
        for _ in range(times):
            mark()
            run(inputs)
            mark()


if __name__ == "__main__":
    main()
