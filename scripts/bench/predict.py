#!/usr/bin/env python3
"""`mlops predict` Parquet → Parquet beside a bare loop of `Booster.predict` on batches, whole processes.

python scripts/bench/predict.py [--rows N] [--repeat N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import _run

FLOOR = """
import json, sys
import lightgbm, numpy as np, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
booster = lightgbm.Booster(model_file="model/model.txt")
columns = json.load(open("model/features.json"))["columns"]
with pq.ParquetWriter("floor.parquet", pa.schema([("prediction", pa.bool_())]), compression="zstd") as writer:
    for batch in pq.ParquetFile("flights.parquet").iter_batches(65536):
        matrix = []
        for column in columns:
            values = batch.column(column["name"])
            if column["use"] == "category":
                index = pc.index_in(values, pa.array(column["levels"], values.type))
                matrix.append(index.cast(pa.float64()).to_numpy(zero_copy_only=False))
            elif column["use"] == "time":
                for part in column["parts"]:
                    if part == "days":
                        matrix.append(values.cast(pa.int64()).to_numpy() / 86_400e6)
                    else:
                        kernel = {"weekday": "day_of_week"}.get(part, part)
                        matrix.append(getattr(pc, kernel)(values).cast(pa.float64()).to_numpy(zero_copy_only=False))
            else:
                matrix.append(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
        answer = booster.predict(np.column_stack(matrix)) >= 0.5
        writer.write_table(pa.table({"prediction": answer}))
"""


def main() -> None:
    """Print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        _run.model(folder)
        _run.flights(folder / "flights.parquet", given.rows)
        ours = [_run.MLOPS, "predict", "model", "flights.parquet", "--force", "-o", "answers"]
        took = _run.side_by_side(ours, [_run.PYTHON, "-c", FLOOR], folder, given.repeat)
        _run.row(f"predict, {given.rows:,} rows, 100 trees", *took, 1.00)


if __name__ == "__main__":
    main()
