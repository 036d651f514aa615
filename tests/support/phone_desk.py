"""The server of ``edgekit phone`` in a process of its own: prints its address, and ends with its standard input."""

from __future__ import annotations

import sys

from support.posted import SETTINGS

from edgekit.bundle import Bundle
from edgekit.devices.browser.job import make_job
from edgekit.devices.browser.result import read_result
from edgekit.devices.browser.server import PhoneServer


def main() -> None:
    with Bundle.open(sys.argv[1]) as bundle:
        job = make_job(bundle, SETTINGS, webgpu=False)
        with PhoneServer(
            bundle, job, receive=lambda value: [None, read_result(value, bundle, SETTINGS)][0], listener=lambda _: None
        ) as server:
            print(server.url, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
