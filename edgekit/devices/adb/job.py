"""A program on a phone that goes on when the connection is lost: what the phone's shell is given for it.

A job is a folder there: ``out`` and ``err`` are what the program writes, ``code`` its exit code once it has ended,
``group`` the process group it runs in, and ``seen`` is as old as the last sign of the host. A job that no host has
shown itself to ends by itself, so that nothing runs on for a desk that is gone.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

#: A job looks this often whether its host has shown itself since the last look.
LEASE_S = 30


def run(job: str, arguments: Sequence[str], *, home: str) -> str:
    """The command that starts *job* if nobody has, waits for its end, and gives its output and exit code as its own.

    It may be given again after a lost connection: then it only waits. While the shell that started it waits, nothing
    else of edgekit's runs on the phone. A job that went away without an exit code was killed.

    Args:
        job: Its folder, of a name that no other had, in a folder that is there.
        home: The program's home and place for temporary files: phones have no ``/tmp``.
    """
    where, home = shlex.quote(job), shlex.quote(home)
    lease = f"while sleep {LEASE_S} && [ {where}/seen -nt {where}/looked ]; do true >{where}/looked; done"
    program = (
        f"echo $$ >{where}/group; {{ {lease}; kill -9 -$$; }} & "
        f"{shlex.join(arguments)} >{where}/out 2>{where}/err; "
        f"echo $? >{where}/code.part; mv {where}/code.part {where}/code; kill -9 -$$"
    )
    # What phones preload belongs to their own C library.
    return f"""\
unset LD_PRELOAD LD_LIBRARY_PATH
new=
[ ! -d {where} ] && mkdir {where} && new=1
{show(job)}
if [ $new ]; then
  HOME={home} TMPDIR={home} setsid sh -c {shlex.quote(program)} </dev/null >/dev/null 2>&1 &
  wait $! 2>/dev/null
fi
while [ ! -e {where}/code ]; do
  sleep 1
  read -r group <{where}/group && [ -d /proc/$group ] || break
done
cat {where}/out; cat {where}/err >&2
read -r code <{where}/code || [ ! -d {where} ] || code=137
(exit ${{code:-1}})"""


def show(job: str) -> str:
    """The command that shows the host to *job*."""
    return f"true >{shlex.quote(job)}/seen"


def end(job: str) -> str:
    """The command that ends *job* and removes its folder."""
    where = shlex.quote(job)
    return f"[ -e {where}/code ] || {{ read -r group <{where}/group && kill -9 -$group; }}; rm -rf {where}"
