"""Three commands with the rows in the pipe between them, beside the same three with files between them.

    python scripts/bench/pipe.py [--rows N] [--repeat N]

`ingest … -o - | validate … -o - | split` against `ingest | validate | split`, the same rules, each in an empty
workspace. They run in turn, the least of the repeats counts; memory is that of the hungriest of the three processes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import _run
import validate

PIPES = {
    "rows": "{m} ingest -q {d} -o - | {m} validate -q --schema {r} -o - | {m} split -q {f} -o out",
    "files": "{m} ingest -q {d} | {m} validate -q --schema {r} | {m} split -q {f} -o out",
}


def run(kind: str, folder: Path, flags: str) -> _run.Took:
    """One pipe, in an empty workspace."""
    home = folder / kind
    shutil.rmtree(home, ignore_errors=True)
    (home / ".mlops").mkdir(parents=True)
    line = PIPES[kind].format(m=_run.MLOPS, d=folder / "data" / "rows.parquet", r=folder / "rules.yaml", f=flags)
    took = _run.measure(["bash", "-o", "pipefail", "-c", line], home)
    shutil.rmtree(home, ignore_errors=True)
    return took


def main() -> int:
    """Measure and print the rows; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--flags", default="", help="of split, such as '--stratify carrier'")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlops-bench-"))
    try:
        # Not in this process: the most memory that a child had counts what its parent had when it was started.
        make = "import sys, validate; from pathlib import Path; validate.make(Path(sys.argv[1]), int(sys.argv[2]))"
        here = str(Path(__file__).parent)
        _run.measure([_run.PYTHON, "-c", make, str(folder / "data"), str(arguments.rows)], folder, PYTHONPATH=here)
        (folder / "rules.yaml").write_text(validate.RULES.replace("LIMIT", "1000"))
        pairs = [(run("rows", folder, arguments.flags), run("files", folder, arguments.flags))
                 for _ in range(arguments.repeat)]  # fmt: skip
        ours, floor = (min(side, key=lambda took: took.wall) for side in zip(*pairs, strict=True))
        _run.row(f"pipe of rows or of files, {arguments.rows:,} rows", ours, floor, 1.5)
        return 0 if ours.wall <= 1.5 * floor.wall else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
