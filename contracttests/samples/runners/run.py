"""Runs every sample in a folder."""

import runpy
import sys
from pathlib import Path

for sample in sorted(Path(sys.argv[1]).iterdir()):
    print(sample, flush=True)
    runpy.run_path(str(sample), run_name="__main__")
