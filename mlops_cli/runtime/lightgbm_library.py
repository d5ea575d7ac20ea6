"""The C library of LightGBM through ctypes: found, loaded once, its errors raised."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import weakref
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Integrity, MissingExtra

_LOG = logging.getLogger(__name__)
_NAME = "lib_lightgbm.dylib" if sys.platform == "darwin" else "lib_lightgbm.so"
_IMAGE = Path("/opt/mlops/lib")

_FLOAT64 = 1
_NORMAL, _CONTRIBUTIONS = 0, 3
_ALL = -1

_LOGGER = ctypes.CFUNCTYPE(None, c_char_p)


def library_path() -> Path:
    """Where the library is: $MLOPS_LIB_LIGHTGBM, else in the lightgbm package, else where images have it.

    The package is looked for, not imported. MissingExtra when there is none.
    """
    given = os.environ.get("MLOPS_LIB_LIGHTGBM")
    if given:
        places = [Path(given)]
    else:
        spec = find_spec("lightgbm")
        package = [Path(spec.origin).parent] if spec is not None and spec.origin else []
        places = [folder / "lib" / _NAME for folder in package] + [_IMAGE / _NAME]
    for place in places:
        if place.is_file():
            return place
    raise MissingExtra.of("lightgbm", "lightgbm")


@cache
def _libraries() -> tuple[ctypes.CDLL, ctypes.PyDLL]:
    """The library twice: calls that let other Python threads run, and short calls that keep them waiting."""
    # OpenMP's threads would spin while waiting, and take the core that another process needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    path = str(library_path())
    try:
        library, short = ctypes.CDLL(path), ctypes.PyDLL(path)
    except OSError as error:
        raise MissingExtra(f"the library of lightgbm cannot be loaded: {error}", "apt install libgomp1") from None
    library.LGBM_GetLastError.restype = c_char_p
    library.LGBM_BoosterLoadModelFromString.argtypes = [c_char_p, POINTER(c_int), POINTER(c_void_p)]
    library.LGBM_BoosterFree.argtypes = [c_void_p]
    library.LGBM_FastConfigFree.argtypes = [c_void_p]
    library.LGBM_BoosterPredictForMat.argtypes = [
        *(c_void_p, c_void_p, c_int, c_int32, c_int32, c_int),
        *(c_int, c_int, c_int, c_char_p, POINTER(c_int64), c_void_p),
    ]
    library.LGBM_BoosterPredictForMatSingleRowFastInit.argtypes = [
        *(c_void_p, c_int, c_int, c_int, c_int, c_int32, c_char_p, POINTER(c_void_p))
    ]
    return library, short


def _log(message: bytes) -> None:
    """The library's own messages, which it would print to stdout."""
    _LOG.debug("%s", message.decode(errors="replace").strip())


_CALLBACK = _LOGGER(_log)  # kept here: the library calls it for as long as it lives


def _called(code: int) -> None:
    """Integrity when a call of the library has failed, with what the library says."""
    if code:
        said = _libraries()[0].LGBM_GetLastError().decode(errors="replace")
        raise Integrity(f"LightGBM refuses the model: {said}", "fetch the model again, or train it again")


class Booster:
    """A model in the library's memory, freed with this object."""

    def __init__(self, text: bytes, classes: int) -> None:
        """From text that `lightgbm_text.check` has passed; `classes` is the number of scores a row."""
        library, _ = _libraries()
        library.LGBM_RegisterLogCallback(_CALLBACK)  # each thread has its own
        self._handle = c_void_p()
        self._classes = classes
        _called(library.LGBM_BoosterLoadModelFromString(text, byref(c_int()), byref(self._handle)))
        # Not at exit: after an interruption a thread may still be predicting with it.
        weakref.finalize(self, library.LGBM_BoosterFree, self._handle).atexit = False

    def predict(self, values: NDArray[np.float64], threads: int) -> NDArray[np.float64]:
        """Scores of shape (n, classes) for a C-ordered float64 matrix of shape (n, features), on `threads` threads."""
        return self._answers(values, self._classes, _NORMAL, threads)

    def contributions(self, values: NDArray[np.float64], threads: int) -> NDArray[np.float64]:
        """What each feature adds to each raw score, shape (n, classes, features + 1), the mean raw score last.

        Shapley values of trees (Lundberg et al., "From local explanations to global understanding with explainable AI
        for trees", 2020); the library takes memory and stack in proportion to the depth of trees.
        """
        width = values.shape[1] + 1
        found = self._answers(values, self._classes * width, _CONTRIBUTIONS, threads)
        return found.reshape(len(values), self._classes, width)

    def _answers(self, values: NDArray[np.float64], width: int, kind: int, threads: int) -> NDArray[np.float64]:
        """What the library answers of one kind: shape (n, width)."""
        out = np.empty((len(values), width), dtype=np.float64)
        if not len(values):
            return out
        values = np.ascontiguousarray(values, dtype=np.float64)
        rows, columns = values.shape
        length = c_int64()
        library, _ = _libraries()
        options = b"num_threads=%d verbosity=-1" % threads
        where, into = values.ctypes.data, out.ctypes.data
        _called(
            library.LGBM_BoosterPredictForMat(
                *(self._handle, where, _FLOAT64, rows, columns, 1, kind, 0, _ALL, options, byref(length), into)
            )
        )
        if length.value != out.size:
            raise Integrity(f"LightGBM gave {length.value} scores where {out.size} belong")
        return out

    def single(self, features: int) -> Single:
        """The way for one row at a time."""
        return Single(self, self._handle, features, self._classes)


class Single:
    """One row at a time: fill `row` with float64 values, call `predict`, read `scores`. One thread at a time."""

    def __init__(self, booster: Booster, handle: c_void_p, features: int, classes: int) -> None:
        library, short = _libraries()
        self._booster = booster  # keeps the model alive
        self.row = (c_double * features)()
        self.scores: Any = (c_double * classes)()
        self._config = c_void_p()
        # The library checks the number of columns here and never again, and reads that many from `row`.
        _called(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                *(handle, _NORMAL, 0, _ALL, _FLOAT64, features, b"num_threads=1 verbosity=-1", byref(self._config))
            )
        )
        weakref.finalize(self, library.LGBM_FastConfigFree, self._config).atexit = False
        call = short.LGBM_BoosterPredictForMatSingleRowFast
        call.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p]
        self._call = call
        self._length = c_int64()
        self._arguments = (self._config, byref(self.row), byref(self._length), byref(self.scores))

    def predict(self) -> None:
        """Fill `scores` from `row`; 3 µs, the interpreter's lock held."""
        if self._call(*self._arguments):
            _called(1)
