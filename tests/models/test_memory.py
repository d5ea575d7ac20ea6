"""Memory that goes back: what polars' allocator is told, and a C library without the call."""

import ctypes
import os

from mlops_cli.models import memory

OURS = "dirty_decay_ms:0,muzzy_decay_ms:0"


def test_what_a_parent_with_polars_left_does_not_count(monkeypatch):
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "dirty_decay_ms:500")
    memory.at_once()
    assert os.environ["_RJEM_MALLOC_CONF"] == f"dirty_decay_ms:500,{OURS}"  # the last one of two counts
    monkeypatch.delenv("_RJEM_MALLOC_CONF")
    memory.at_once()
    assert os.environ["_RJEM_MALLOC_CONF"] == OURS


def test_a_c_library_without_it(monkeypatch):
    memory.now()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.now()
