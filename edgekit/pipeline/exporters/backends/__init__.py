"""One module per ExecuTorch backend, with what its lowering takes: ``lowering(program, half)``."""
