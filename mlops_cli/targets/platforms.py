"""The Python and the C library that an image has, and which wheels run there."""

from __future__ import annotations

import platform as host
import sys

import msgspec

from mlops_cli.errors import Outside

_OLDEST_GLIBC = 5  # manylinux1
_ASSUMED_GLIBC = (2, 28)  # the oldest that current official Python images ever had
LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}

# Run by the image's own Python; prints what Platform reads.
PROBE = """
import ctypes, json, platform, sys
def there(name):
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
names = ["libgomp.so.1", "libstdc++.so.6", "libgcc_s.so.1"]
libc, version = platform.libc_ver()
print(json.dumps({"python": sys.version_info[:2], "implementation": sys.implementation.name,
    "machine": platform.machine(), "glibc": [int(p) for p in version.split(".")[:2]] if libc == "glibc" else None,
    "lacks": [name for name in names if not there(name)]}))
"""


class Platform(msgspec.Struct, frozen=True):
    """What a base image offers. `lacks` names the shared libraries of C++ and OpenMP that it does not have."""

    python: tuple[int, int]
    machine: str
    implementation: str = "cpython"
    glibc: tuple[int, int] | None = _ASSUMED_GLIBC
    lacks: list[str] = msgspec.field(default_factory=lambda: ["libgomp.so.1"])

    @property
    def python_text(self) -> str:
        """`3.11`."""
        return f"{self.python[0]}.{self.python[1]}"

    @property
    def wheel_platforms(self) -> list[str]:
        """The platform parts of the wheels that run here, newest first."""
        if self.glibc is None:
            return []
        names = []
        for minor in range(self.glibc[1], _OLDEST_GLIBC - 1, -1):
            names.append(f"manylinux_2_{minor}_{self.machine}")
            if (2, minor) in LEGACY:
                names.append(f"{LEGACY[2, minor]}_{self.machine}")
        return names


def assumed() -> Platform:
    """The official image of our own Python version on our own processor, for when no engine is asked."""
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(host.machine(), host.machine())
    return Platform(python=sys.version_info[:2], machine=machine)


def decode(printed: bytes, base: str) -> Platform:
    """What PROBE printed in the image `base`; Outside when nothing can be served from there."""
    try:
        found = msgspec.json.decode(printed.strip().splitlines()[-1], type=Platform)
    except (msgspec.DecodeError, IndexError):
        raise Outside(f"the base image {base} has no working python3", "name another with --base") from None
    if found.implementation != "cpython" or found.python < (3, 11):
        raise Outside(
            f"the base image {base} has {found.implementation} {found.python_text}, 3.11 or newer is needed",
            "name another with --base",
        )
    if found.glibc is None:
        raise Outside(
            f"the base image {base} has no glibc, for which the libraries are built", "take a Debian one, not Alpine"
        )
    return found
