"""The third-party distributions that serving needs, copied from this environment or installed for another one."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag
from packaging.utils import canonicalize_name

from mlops_cli.errors import MissingExtra, Outside
from mlops_cli.targets.platforms import Platform, assumed

# What runtime/ imports beyond the standard library; what these need themselves is found from their metadata.
SERVING = ("numpy", "msgspec", "uvicorn", "httptools", "uvloop")
_OF_FAMILY = {"cnn": ("onnxruntime", "pillow"), "onnx": ("onnxruntime", "pillow")}
_INSTALL_SECONDS = 900

# Left out of the image: tests, headers, type stubs, what numpy keeps for compiling, and records of this installation.
_SKIPPED_FOLDERS = {"tests", "__pycache__"}
_SKIPPED_SUFFIXES = {".pyi", ".pxd", ".pyx", ".c", ".h", ".a", ".lib"}
_SKIPPED_BELOW = {("numpy", name) for name in ("f2py", "distutils", "_pyinstaller")} | {
    ("onnxruntime", name) for name in ("transformers", "tools", "quantization", "backend", "datasets")
}
# onnxruntime's library for programs in C: the one for Python has all of it too.
_SKIPPED_LIBRARIES = ("libonnxruntime.so",)
_SKIPPED_RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def install(platform: Platform, site: Path, family: str = "lightgbm") -> dict[str, str]:
    """Put what serving a model of `family` needs on `platform` into the directory `site`; the versions, by name.

    MissingExtra when one is not installed here, Outside when pip has to fetch one and cannot.
    """
    needed = distributions(platform, serving(family))
    foreign = [found for found in needed if not fits(found, platform)]
    for found in needed:
        if found not in foreign:
            copy(found, site)
    if foreign:
        with tempfile.TemporaryDirectory(prefix="mlops-wheels-") as folder:
            fetch(foreign, platform, Path(folder))
            _copy_tree(Path(folder), site)
    return {canonicalize_name(found.metadata["Name"]): found.version for found in needed}


def serving(family: str) -> tuple[str, ...]:
    """The names of what serving a model of `family` imports."""
    return (*SERVING, *_OF_FAMILY.get(family, ()))


def distributions(platform: Platform, names: Sequence[str] = SERVING) -> list[Distribution]:
    """The installed distributions of these names and all that they require on `platform`, by name."""
    found: dict[str, Distribution] = {}
    queue = list(names)
    while queue:
        name = canonicalize_name(queue.pop())
        if name in found:
            continue
        found[name] = installed(name)
        queue.extend(_required(found[name], platform))
    return [found[name] for name in sorted(found)]


def installed(name: str) -> Distribution:
    """A distribution of this environment; MissingExtra when it is not there."""
    try:
        return importlib.metadata.distribution(name)
    except PackageNotFoundError:
        raise MissingExtra.of(name, "tables") from None


def _required(distribution: Distribution, platform: Platform) -> list[str]:
    """The names that a distribution requires on `platform`, without extras."""
    environment = {
        "python_version": platform.python_text,
        "python_full_version": f"{platform.python_text}.0",
        "platform_machine": platform.machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "extra": "",
    }
    names = []
    for line in distribution.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            names.append(requirement.name)
    return names


def same_machine(platform: Platform) -> bool:
    """Whether this process runs on the processor of `platform`."""
    return assumed().machine == platform.machine


def fits(distribution: Distribution, platform: Platform) -> bool:
    """Whether the files installed here came from a wheel that runs on `platform` as well.

    What was compiled on this machine does not: nobody promised that its libraries are inside.
    """
    tags: set[Tag] = set()
    for line in (distribution.read_text("WHEEL") or "").splitlines():
        if line.startswith("Tag:"):
            tags.update(parse_tag(line.partition(":")[2].strip()))
    platforms = platform.wheel_platforms
    runs = {*cpython_tags(platform.python, platforms=platforms), *compatible_tags(platform.python, "cp", platforms)}
    return bool(tags & runs)


def copy(distribution: Distribution, site: Path, wanted: Callable[[PurePosixPath], bool] | None = None) -> list[Path]:
    """Copy the files of an installed distribution that serving needs (or those `wanted`) into `site`."""
    copied = []
    for entry in distribution.files or []:
        if (wanted or serves)(PurePosixPath(entry)):
            source = Path(str(distribution.locate_file(entry)))
            target = site / entry
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            copied.append(target)
    return copied


def serves(path: PurePosixPath) -> bool:
    """Whether a file of a distribution, named relative to site-packages, is needed for serving."""
    return not (
        ".." in path.parts
        or path.is_absolute()
        or _SKIPPED_FOLDERS & set(path.parts[:-1])
        or path.suffix in _SKIPPED_SUFFIXES
        or path.parts[:2] in _SKIPPED_BELOW
        or path.name.startswith(_SKIPPED_LIBRARIES)
        or (path.name in _SKIPPED_RECORDS and path.parts[0].endswith(".dist-info"))
    )


def _copy_tree(source: Path, site: Path) -> None:
    """Copy what pip has installed, by the same rules."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and relative.parts[0] != "bin" and serves(PurePosixPath(relative)):
            target = site / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def fetch(wanted: Sequence[Distribution], platform: Platform, directory: Path) -> None:
    """Install the same versions for another platform with pip, from wheels only; Outside when that fails."""
    pins = [f"{found.metadata['Name']}=={found.version}" for found in wanted]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--target", str(directory), "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", platform.python_text]
    for name in platform.wheel_platforms:
        command += ["--platform", name]
    try:
        done = subprocess.run(
            [*command, *pins],
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Outside(f"pip failed: {error}") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Outside(
            f"pip got no wheels of {', '.join(pins)} for Python {platform.python_text}, {platform.machine}: {reason}",
            f"take a base image with Python {sys.version_info[0]}.{sys.version_info[1]}, for which they are here",
        )
