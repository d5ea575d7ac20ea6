#!/usr/bin/env python3
"""`mlops predict --explain` beside a bare loop of `Booster.predict(pred_contrib=True)` on the same batches.

python scripts/bench/explain.py [--rows N] [--repeat N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import _run
import predict

FLOOR = (
    predict.FLOOR.replace("booster.predict(np.column_stack(matrix)) >= 0.5", "booster.predict(m, pred_contrib=True)")
    .replace(
        "        answer =",
        "        m = np.column_stack(matrix)\n        proba = booster.predict(m) >= 0.5\n        answer =",
    )
    .replace(
        'pa.table({"prediction": answer})',
        'pa.table({"prediction": proba, "explain": pa.FixedSizeListArray.from_arrays(answer.ravel(), len(answer[0]))})',
    )
    .replace(
        'pa.schema([("prediction", pa.bool_())])',
        'pa.schema([("prediction", pa.bool_()), ("explain", pa.list_(pa.float64(), booster.num_feature() + 1))])',
    )
)


def main() -> None:
    """Print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        _run.model(folder)
        _run.flights(folder / "flights.parquet", given.rows)
        ours = [_run.MLOPS, "predict", "model", "flights.parquet", "--explain", "--force", "-o", "answers"]
        took = _run.side_by_side(ours, [_run.PYTHON, "-c", FLOOR], folder, given.repeat)
        _run.row(f"predict --explain, {given.rows:,} rows, 100 trees", *took, 1.10)


if __name__ == "__main__":
    main()
