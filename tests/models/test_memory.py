"""Memory that goes back: what polars' allocator is told, and a C library without the call."""

import ctypes
import os
from types import SimpleNamespace

from mlops_cli.models import memory

OURS = "dirty_decay_ms:0,muzzy_decay_ms:0"


def test_what_a_parent_with_polars_left_does_not_count(monkeypatch):
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "dirty_decay_ms:500")
    memory.at_once()
    assert os.environ["_RJEM_MALLOC_CONF"] == f"dirty_decay_ms:500,{OURS}"  # the last one of two counts
    monkeypatch.delenv("_RJEM_MALLOC_CONF")
    memory.at_once()
    assert os.environ["_RJEM_MALLOC_CONF"] == OURS


def test_what_the_c_library_keeps_is_asked_for_where_it_can_be(monkeypatch):
    asked: list[int] = []
    for library in (SimpleNamespace(malloc_trim=asked.append), SimpleNamespace()):
        monkeypatch.setattr(ctypes, "CDLL", lambda name, library=library: library)
        memory.now()
    assert asked == [0]
