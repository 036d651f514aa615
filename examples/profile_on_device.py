"""How fast a model is in the program that uses it, on the device: ``python profile_on_device.py BUNDLE``.

Needs what running the model needs, and nothing else.
"""

import sys

import numpy as np

import edgekit

with edgekit.load(sys.argv[1]) as model:
    profile = model.profile(seconds=1)
    (cell,) = profile.cells
    (process,) = cell.processes
    elapsed_ms = process.elapsed_ns.array() / 1e6
    print(f"{cell.variant} on {cell.engine}, {process.threads} threads: median {np.median(elapsed_ms):.3f} ms")
    for mark in process.marks:  # a hot board, or another program at work
        print(mark)
