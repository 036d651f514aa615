"""Emulated boards: the real aarch64 engines on this machine, under qemu user emulation."""
