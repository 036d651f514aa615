"""Write the pages that are made from the code: ``python docs/generate.py``, in an environment with edgekit[test]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.reference import pages

for path, text in pages().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
