"""LightGBM's package as it is needed here, and rows that it bins batch by batch, without a matrix of all of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

# Before the library loads: its threads would spin while waiting, and take the core that another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# The package imports these if they are there, which takes a second and 130 MB; nothing here uses what they are for.
_UNUSED = [name for name in ("sklearn", "pandas", "dask", "matplotlib", "graphviz") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]  # None: such an import fails
try:
    import lightgbm
finally:
    for _name in _UNUSED:
        del sys.modules[_name]

__all__ = ["Binned", "Rows", "lightgbm"]

_LOG = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _Logger:
    """Where the package's own messages go; it would print them to stdout."""

    def info(self, message: str) -> None:
        _LOG.debug(message)

    def warning(self, message: str) -> None:
        _LOG.debug(message)


lightgbm.register_logger(_Logger())


class Rows(lightgbm.Sequence):
    """Rows that are computed when LightGBM asks for them: some, in order, to tell the bins; then all, to fill them.

    `batches` gives the matrices (n, width) of all rows in order, each time that it is called.
    """

    batch_size = 65_536

    def __init__(self, batches: Callable[[], Iterator[Floats]], rows: int) -> None:
        self._batches, self._rows = batches, rows
        self._restart()

    def _restart(self) -> None:
        self._coming = self._batches()
        self._start, self._here = 0, np.empty((0, 0))

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    def __getitem__(self, asked: int | slice | list[int]) -> Floats:
        """A row (width,), or rows from one number to another; going back begins again."""
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

    def chosen(self, numbers: Ints) -> Floats:
        """The rows of ascending numbers: shape (len(numbers), width)."""
        found, start = [], 0
        for batch in self._batches():
            own = numbers[(numbers >= start) & (numbers < start + len(batch))]
            found.append(batch[own - start])
            start += len(batch)
        return np.concatenate(found)


class Binned(lightgbm.Dataset):
    """A data set that takes the rows which tell the bins a batch at a time, not one by one.

    By a method that is LightGBM's own affair: a version that does not call it asks for one row after another.
    """

    @staticmethod
    def _yield_row_from_seqlist(seqs: list[lightgbm.Sequence], indices: Iterable[int]) -> Iterator[Floats]:
        """The rows of these numbers, in order."""
        numbers = np.fromiter(indices, np.int64)
        if len(seqs) == 1 and isinstance(seqs[0], Rows) and not (np.diff(numbers) < 0).any():
            return iter(seqs[0].chosen(numbers))
        return lightgbm.Dataset._yield_row_from_seqlist(seqs, numbers.tolist())
