"""What devices are sent: edgekit's device side, packages, ExecuTorch's core, the self-contained runner, releases."""
