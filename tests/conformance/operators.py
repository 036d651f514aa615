"""Try every configuration of the operator matrix: ``python tests/conformance/operators.py [--again] [PATTERN]``.

What is in ``operators.jsonl`` already is not tried again without ``--again``, and what the table no longer has is
forgotten; ``python docs/generate.py`` writes the page from there.
"""

from __future__ import annotations
import __future__

import argparse
import inspect
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import zlib
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.operator_matrix import FILES, RESULTS, Result, plainly, read_results, table, tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="of lines or families to try")
    parser.add_argument("--files", default=",".join(FILES), help="to make of each: 'tflite fp32,pte fp32' and so on")
    parser.add_argument("--again", action="store_true", help="try what was tried before, too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--part", default="0/1", help="the first of two equal parts is 0/2")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    files = given.files.split(",")
    known = {} if given.again else read_results(given.results)
    if given.child:
        _try_all(sys.stdin.read().splitlines(), given.results, files, known)
        return
    wanted = [line for line, one in table().items() if re.search(given.pattern, f"{one.family}: {line}")]
    left = [
        line
        for line in sorted(wanted[part::parts], key=lambda line: zlib.crc32(line.encode()))
        if not known.get(line, {}).keys() >= set(files)
    ]
    while left:  # a converter may take its process with it
        command = [
            sys.executable,
            __file__,
            "--child",
            "--results",
            str(given.results),
            "--files",
            given.files,
            *(["--again"] if given.again else []),
        ]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdin.write("\n".join(left))
        child.stdin.close()
        for said in child.stdout:
            if said.startswith("tried "):
                left.pop(0)
            print(said, end="", flush=True)
        if child.wait() and left:
            crashed = dict.fromkeys(files, Result("unnamed", said=f"the process died ({child.returncode})"))
            _keep(left.pop(0), crashed, given.results)
    found = read_results(given.results)
    given.results.unlink(missing_ok=True)
    for line in table():
        if line in found:
            _keep(line, found[line], given.results)


def _try_all(lines: list[str], results: Path, files: list[str], known: dict[str, dict[str, Result]]) -> None:
    import torch

    torch.set_num_threads(1)
    _hasten()
    for line in lines:
        before = known.get(line, {})
        missing = [name for name in files if name not in before]
        with tempfile.TemporaryDirectory() as folder:
            found = tried(table()[line], Path(folder), missing, before)
        torch._dynamo.reset()
        _keep(line, found, results)
        print("tried", line, *(f"{name}={each.outcome}" for name, each in found.items()), flush=True)


def _hasten() -> None:
    """Half the time goes to what torch 2.13 does to all operators at every decomposition: listing them, as there may be
    new ones, and evaluating annotations of a function that registers them."""
    from torch import _ops
    from torch._export import utils
    from torch.export import decomp_utils, exported_program

    for module in (exported_program, decomp_utils):
        module._collect_all_valid_cia_ops = cache(utils._collect_all_valid_cia_ops)
    code, found = textwrap.dedent(inspect.getsource(_ops.OperatorBase.py_impl)), {}
    exec(compile(code, _ops.__file__, "exec", flags=__future__.annotations.compiler_flag), vars(_ops), found)
    _ops.OperatorBase.py_impl = found["py_impl"]


def _keep(line: str, found: dict[str, Result], path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        value = {"line": line, "results": {name: plainly(each) for name, each in found.items()}}
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
