"""The shared libraries that a model needs in an image: LightGBM's own, and what the base has not."""

from __future__ import annotations

import ctypes
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath

from mlops_cli.errors import Outside
from mlops_cli.targets import wheels
from mlops_cli.targets.platforms import Platform

_LIGHTGBM = "lib_lightgbm.so"
_OPENMP = "libgomp.so.1"


def install(family: str, platform: Platform, directory: Path) -> dict[str, str]:
    """Put the libraries of a model family into `directory`; the versions of their distributions, by name."""
    directory.mkdir(parents=True, exist_ok=True)
    for library in platform.lacks:
        if family == "lightgbm" or library != _OPENMP:
            shutil.copyfile(_here(library, platform), directory / library)
    if family != "lightgbm":
        (directory / ".keep").touch()  # neither an artefact nor a tar of files keeps an empty directory
        return {}
    lightgbm = wheels.installed("lightgbm")
    with tempfile.TemporaryDirectory(prefix="mlops-lightgbm-") as name:
        folder = Path(name)
        if wheels.fits(lightgbm, platform):
            wheels.copy(lightgbm, folder, _is_lightgbm)
        else:
            wheels.fetch([lightgbm], platform, folder)
        found = sorted(path for path in folder.rglob(_LIGHTGBM))
        if not found:
            raise Outside(f"lightgbm {lightgbm.version} for {platform.machine} has no {_LIGHTGBM}")
        shutil.copyfile(found[0], directory / _LIGHTGBM)
    return {"lightgbm": lightgbm.version}


def _is_lightgbm(path: PurePosixPath) -> bool:
    return path.name == _LIGHTGBM


def _here(library: str, platform: Platform) -> Path:
    """This machine's file of a shared library that the base image lacks, as the loader finds it."""
    hint = f"take a base image that has {library} (Debian: libgomp1, libstdc++6)"
    if not (sys.platform == "linux" and wheels.same_machine(platform)):
        raise Outside(f"the base image has no {library}, and this machine has none for {platform.machine} Linux", hint)
    try:
        ctypes.CDLL(library)
    except OSError:
        raise Outside(f"neither the base image nor this machine has {library}", hint) from None
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name == library or path.name.startswith(f"{library}."):
            return path
    raise Outside(f"{library} is loaded from no file", hint)
