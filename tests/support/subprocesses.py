"""Run a function in a process of its own, where one framework may be imported: PyTorch and TensorFlow never meet."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1]


def call(function: str, *, backend: str, timeout_s: float = 240, **arguments: Any) -> Any:
    """What ``module:function`` returns for *arguments*, both as JSON, in a process with this Keras backend."""
    with tempfile.TemporaryDirectory() as directory:
        answer = Path(directory) / "answer.json"
        request = json.dumps({"function": function, "arguments": arguments, "answer": str(answer)})
        done = subprocess.run(
            [sys.executable, "-m", "support.subprocesses", request],
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)]),
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise AssertionError(f"{function} failed:\n{done.stdout[-6000:]}")
        return json.loads(answer.read_text())


def main() -> None:
    request = json.loads(sys.argv[1])
    module, _, name = request["function"].partition(":")
    result = getattr(importlib.import_module(module), name)(**request["arguments"])
    Path(request["answer"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
