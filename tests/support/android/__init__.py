"""A simulated device: what the real `adb` client finds where a phone would be.

It speaks the adb protocol over TCP and runs commands in an emulated aarch64 root with nothing but a kernel's view:
no /etc, no /tmp, no Python. It proves what is sent, run and answered, never how fast: no bionic (programs built with
the NDK do not start), no SELinux, no USB.
"""
