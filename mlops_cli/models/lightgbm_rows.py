"""LightGBM's package as it is needed here, and rows that it bins batch by batch, without a matrix of all of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Before the library loads: its threads would spin while waiting, and take the core that another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class _Sparse(ModuleType):
    """What the package has for scipy: the types by which it asks whether data are sparse, which they never are here."""

    spmatrix = csr_matrix = csc_matrix = type("_Never", (), {})


# The package imports these if they are there, which takes a second and 130 MB; nothing here uses what they are for.
# scipy it must have: a quarter of a second and 20 MB for three types.
_ABSENT: dict[str, Any] = dict.fromkeys(("sklearn", "pandas", "dask", "matplotlib", "graphviz"))  # None: it fails
_ABSENT |= {"scipy.sparse": _Sparse("scipy.sparse"), "scipy": ModuleType("scipy")}
_ABSENT["scipy"].sparse = _ABSENT["scipy.sparse"]
_HIDDEN = {name: module for name, module in _ABSENT.items() if name.partition(".")[0] not in sys.modules}
sys.modules.update(_HIDDEN)
try:
    import lightgbm
finally:
    for _name in _HIDDEN:
        del sys.modules[_name]

__all__ = ["Binned", "Rows", "lightgbm"]

_LOG = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ZERO = 1e-35  # what is nearer to 0 LightGBM takes for 0


class _Logger:
    """Where the package's own messages go; it would print them to stdout."""

    def info(self, message: str) -> None:
        _LOG.debug(message)

    def warning(self, message: str) -> None:
        _LOG.debug(message)


lightgbm.register_logger(_Logger())


class Rows(lightgbm.Sequence):
    """Rows that are computed when LightGBM asks for them: some to tell the bins, then all, in order, to fill them.

    `batches` gives the matrices (n, width) of all rows in order, each time that it is called; `chosen` gives those of
    the rows of ascending numbers.
    """

    batch_size = 65_536

    def __init__(
        self, batches: Callable[[], Iterator[Floats]], rows: int, chosen: Callable[[Ints], Iterable[Floats]]
    ) -> None:
        self._batches, self._rows, self.chosen = batches, rows, chosen
        self._restart()

    def _restart(self) -> None:
        self._coming = self._batches()
        self._start, self._here = 0, np.empty((0, 0))

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    def __getitem__(self, asked: int | slice | list[int]) -> Floats:
        """The rows from one number to another, or a row (width,); going back begins again."""
        if isinstance(asked, slice):
            start, stop, _ = asked.indices(self._rows)
            parts = list(self._between(start, stop))
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        assert not isinstance(asked, list)
        row: Floats = next(self._between(int(asked), int(asked) + 1))[0]
        return row.copy()  # a view would keep its whole batch

    def _between(self, start: int, stop: int) -> Iterator[Floats]:
        """The rows from `start` on, before `stop`, as parts of batches."""
        if start < self._start:
            self._restart()
        while start < stop:
            while start >= self._start + len(self._here):
                self._start += len(self._here)
                self._here = next(self._coming)
            end = min(stop, self._start + len(self._here))
            yield self._here[start - self._start : end - self._start]
            start = end


class Binned(lightgbm.Dataset):
    """A data set that takes the rows which tell the bins together, not one by one.

    By a method that is LightGBM's own affair: a version that does not call it asks for one row after another. Bins told
    by a `reference` instead would make a fit a quarter slower.
    """

    def _Dataset__sample(self, *, seqs: list[lightgbm.Sequence], total_nrow: int) -> tuple[list[Floats], list[Any]]:
        """Of each column the values that are not 0, and their places, among the rows that tell the bins."""
        if len(seqs) != 1 or not isinstance(seqs[0], Rows):
            found: tuple[list[Floats], list[Any]] = super()._Dataset__sample(seqs=seqs, total_nrow=total_nrow)  # type: ignore[misc]
            return found
        numbers = self._create_sample_indices(total_nrow=total_nrow).astype(np.int64)
        values, places, rows = [], [], np.arange(len(numbers), dtype=np.int32)
        for column in _columns(seqs[0].chosen(numbers), len(numbers)):
            there = (np.abs(column) > _ZERO) | np.isnan(column)
            every = there.all()
            values.append(column if every else column[there])
            places.append(rows if every else rows[there])
        return values, places

    def _init_from_sample(
        self, sample_data: list[Floats], sample_indices: list[Any], sample_cnt: int, total_nrow: int
    ) -> Any:
        """The bins; what told them is then let go, before the rows come."""
        made = super()._init_from_sample(sample_data, sample_indices, sample_cnt, total_nrow)
        sample_data.clear()
        sample_indices.clear()
        return made


def _columns(matrices: Iterable[Floats], rows: int) -> Floats:
    """Matrices of so many rows in all, one below the other, by columns: shape (width, rows)."""
    found = np.empty((0, rows))
    start = 0
    for matrix in matrices:
        found = found if start else np.empty((matrix.shape[1], rows))
        found[:, start : start + len(matrix)] = matrix.T
        start += len(matrix)
    return found
