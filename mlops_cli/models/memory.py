"""What the process has freed goes back to the system, so that the next phase can have it."""

from __future__ import annotations

import ctypes
import os

_TOLD, _AT_ONCE = "_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0"


def at_once() -> None:
    """Make the allocator of polars give back at once; to be called before polars loads."""
    told = os.environ.get(_TOLD)  # a process that has polars leaves what it told its own to those that it starts
    os.environ[_TOLD] = f"{told},{_AT_ONCE}" if told else _AT_ONCE  # of two the last one counts


def now() -> None:
    """Give back what the C library keeps: after large arrays have come and gone, up to 64 MB and what lies between."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own; other C libraries give back anyway
    if trim is not None:
        trim(0)
