"""A table in several files: where a large one is cut, from its rows alone."""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 10**9
"""A file of a table is no larger, unless one row group is."""


def name(number: int) -> str:
    """The name of a file of a table: `part-00000.parquet`."""
    return f"part-{number:05d}.parquet"


def cuts(path: Path) -> list[int]:
    """The rows of each file that a Parquet file is to be cut into; one number when it is small enough.

    Cuts fall between row groups, as many of which go into a file as fit. What a row group takes follows from its rows,
    and the same rows have the same row groups, so the files are the same whichever way the rows came.
    """
    import pyarrow.parquet as pq

    size, footer = path.stat().st_size, pq.read_metadata(path)
    if size <= MOST_BYTES:
        return [footer.num_rows]
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    sizes = [
        sum(group.column(column).total_compressed_size for column in range(footer.num_columns)) for group in groups
    ]
    share = (size - sum(sizes)) // len(groups) + 1  # of the footer
    found, full = [0], 0
    for group, taken in zip(groups, sizes, strict=True):
        if found[-1] and full + taken + share > MOST_BYTES:
            found.append(0)
            full = 0
        found[-1] += group.num_rows
        full += taken + share
    return found
