"""Third-party libraries are copied only where their wheels run; for other platforms pip is asked for the same ones."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_cli.errors import MissingExtra, Outside
from mlops_cli.targets import native, platforms, wheels
from mlops_cli.targets.platforms import Platform

HERE = platforms.assumed()


def test_what_serving_needs_is_found_from_metadata() -> None:
    names = [found.metadata["Name"] for found in wheels.distributions(HERE)]
    assert set(wheels.SERVING) | {"click", "h11"} == set(names)


def test_a_wheel_fits_its_own_platform_alone() -> None:
    numpy = importlib.metadata.distribution("numpy")
    assert wheels.fits(numpy, HERE)
    assert not wheels.fits(numpy, Platform(python=(HERE.python[0], HERE.python[1] + 1), machine=HERE.machine))
    assert not wheels.fits(numpy, Platform(python=HERE.python, machine="riscv64"))
    assert not wheels.fits(numpy, Platform(python=HERE.python, machine=HERE.machine, glibc=(2, 5)))
    assert wheels.fits(importlib.metadata.distribution("h11"), Platform(python=(3, 12), machine="riscv64"))


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("numpy/_core/multiarray.py", True),
        ("numpy/testing/__init__.py", True),
        ("numpy-2.4.6.dist-info/METADATA", True),
        ("numpy/_core/tests/test_x.py", False),
        ("numpy/__init__.pyi", False),
        ("numpy/f2py/crackfortran.py", False),
        ("numpy-2.4.6.dist-info/RECORD", False),
        ("numpy/__pycache__/x.cpython-311.pyc", False),
        ("../../../bin/f2py", False),
        ("/etc/passwd", False),
    ],
)
def test_files_that_serving_needs(path: str, needed: bool) -> None:
    assert wheels.serves(PurePosixPath(path)) is needed


def test_another_platform_asks_pip_for_the_same_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def pip(command: list[str], **options: Any) -> Any:
        asked.append(command)
        folder = Path(command[command.index("--target") + 1])
        (folder / "numpy" / "tests").mkdir(parents=True)
        (folder / "numpy" / "__init__.py").touch()
        (folder / "numpy" / "tests" / "x.py").touch()
        (folder / "bin").mkdir()
        (folder / "bin" / "f2py").touch()
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    site = tmp_path / "site"
    versions = wheels.install(Platform(python=(3, 12), machine="aarch64", glibc=(2, 36)), site)
    (command,) = asked
    assert f"numpy=={importlib.metadata.version('numpy')}" in command
    assert not any(word.startswith("h11") for word in command)  # pure Python: copied
    assert {"--only-binary=:all:", "3.12", "manylinux_2_36_aarch64", "manylinux2014_aarch64"} <= set(command)
    assert (site / "numpy" / "__init__.py").exists()
    assert (site / "h11" / "__init__.py").exists()
    assert not (site / "numpy" / "tests").exists()
    assert not (site / "bin").exists()
    assert versions["numpy"] == importlib.metadata.version("numpy")


def test_pip_that_finds_nothing_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stderr="noise\nERROR: No matching distribution found for numpy\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **o: failed)
    with pytest.raises(Outside, match="No matching distribution") as caught:
        wheels.install(Platform(python=(3, 12), machine="aarch64"), tmp_path)
    assert "base image" in caught.value.hint


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(MissingExtra, match="no-such-library"):
        wheels.installed("no-such-library")


def test_libraries_of_lightgbm(tmp_path: Path) -> None:
    versions = native.install("lightgbm", HERE, tmp_path / "lib")
    assert versions == {"lightgbm": importlib.metadata.version("lightgbm")}
    assert sorted(path.name for path in (tmp_path / "lib").iterdir()) == ["lib_lightgbm.so", "libgomp.so.1"]
    native.install("lightgbm", Platform(HERE.python, HERE.machine, lacks=[]), tmp_path / "complete")
    assert [path.name for path in (tmp_path / "complete").iterdir()] == ["lib_lightgbm.so"]


def test_a_library_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(Outside, match=r"libnone\.so\.9"):
        native.install("lightgbm", Platform(HERE.python, HERE.machine, lacks=["libnone.so.9"]), tmp_path)


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (b"", "no working python3"),
        (b"sh: python3: not found", "no working python3"),
        (b'{"python":[3,9],"machine":"x86_64","glibc":[2,31]}', "3.11 or newer"),
        (b'{"python":[3,11],"machine":"x86_64","glibc":[2,31],"implementation":"pypy"}', "pypy"),
        (b'{"python":[3,12],"machine":"x86_64","glibc":null}', "no glibc"),
    ],
)
def test_base_images_that_cannot_serve(printed: bytes, says: str) -> None:
    with pytest.raises(Outside, match=says) as caught:
        platforms.decode(printed, "some:base")
    assert caught.value.hint


def test_the_probe_describes_this_python() -> None:
    import sys

    done = subprocess.run([sys.executable, "-c", platforms.PROBE], capture_output=True, check=True)
    found = platforms.decode(done.stdout, "here")
    assert (found.python, found.machine) == (HERE.python, HERE.machine)
