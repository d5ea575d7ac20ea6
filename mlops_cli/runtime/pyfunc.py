"""The loader that MLflow calls: `mlflow.pyfunc.load_model(DIRECTORY)` answers like `mlops predict`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlops_cli.runtime import predictors, rows
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.predictors import Predictor
from mlops_cli.runtime.signature import InputColumn

_NAT = np.iinfo(np.int64).min


def _load_pyfunc(path: str) -> PyfuncModel:
    """What MLflow calls with the model directory."""
    return PyfuncModel(predictors.load(Path(path)))


class PyfuncModel:
    """What `mlflow.pyfunc` wraps: `predict` takes a data frame, {column: values} or a list of rows.

    A data frame gives a data frame of the same kind with the columns `prediction` and, of a classifier, `proba`;
    anything else a list of {"prediction": …, "proba": […]}. Columns that the model does not know are ignored.
    rows.RequestError when a column is missing or has values of another type.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The answers for `data`; `params` has no meaning here, MLflow passes it."""
        del params
        signature = self.predictor.signature
        if hasattr(data, "columns") and hasattr(data, "to_dict"):
            there = set(data.columns)
            batch = {
                column.name: _column(column, data[column.name])
                if column.name in there
                else rows.absent(column, len(data))
                for column in signature.columns
            }
            answers = rows.answers(signature, self.predictor.predict(batch))
            keys = ["prediction"] if signature.classes is None else ["prediction", "proba"]
            return type(data)({key: [answer[key] for answer in answers] for key in keys})
        names = set(signature.names)
        if isinstance(data, Mapping):
            columns = {name: _plain(values) for name, values in data.items() if name in names}
            return rows.answers(signature, self.predictor.predict(rows.batch_from_columns(signature, columns)))
        return self.predictor.answer([{name: row[name] for name in row if name in names} for row in data])


def _column(column: InputColumn, series: Any) -> Column:
    """One column of a data frame; times as they are, the rest by way of plain values."""
    values = np.asarray(series.to_numpy())
    if values.dtype.kind == "M" and column.type in ("date", "datetime"):
        micros = values.astype("datetime64[us]").astype(np.int64)
        null = micros == _NAT
        return Column(np.where(null, 0, micros), null if null.any() else None)
    return rows.column_of(column, _plain(values))


def _plain(values: Any) -> list[Any]:
    """Values as JSON would have them: what stands for missing becomes None, times become ISO 8601 text."""
    return [_one(value) for value in (values.tolist() if hasattr(values, "tolist") else values)]


def _one(value: Any) -> Any:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and value != value:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
