"""The build context of an image: the model, the modules that answer, the libraries they need, and nothing else."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import IO

from mlops_cli.runtime import signature as signatures
from mlops_cli.store import artefact, manifest
from mlops_cli.targets import dockerfile, modules, native, wheels
from mlops_cli.targets.base import Order
from mlops_cli.targets.platforms import Platform


def assemble(order: Order, platform: Platform, base: str, digest: str | None, directory: Path) -> dict[str, str]:
    """Write the context into the empty `directory`; the third-party versions in it, by name.

    `digest` is the base image's, when it is known. Integrity when the model is damaged.
    """
    signature = signatures.decode(order.model.read(signatures.FILE))
    versions = wheels.install(platform, directory / "site", signature.family)
    versions |= native.install(signature.family, platform, directory / "lib")
    _sources(directory / "src")
    _model(order, directory / "model")
    (directory / "log").mkdir()
    (directory / "log" / ".keep").touch()  # neither an artefact nor a tar of files keeps an empty directory
    labels = dockerfile.labels(order, signature, base, digest)
    (directory / "Dockerfile").write_text(dockerfile.text(order, base, labels), encoding="utf-8")
    return versions


def pack(directory: Path, epoch: int, file: IO[bytes]) -> None:
    """The context as a tar whose bytes follow from names and contents alone: sorted, one date, nobody's."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            entry = tarfile.TarInfo(path.relative_to(directory).as_posix())
            entry.mtime = epoch
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
                continue
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


def _sources(target: Path) -> None:
    """Our own modules, those that serving imports."""
    for name, path in modules.closure().items():
        parts = name.split(".")
        place = target.joinpath(*parts, "__init__.py") if path.name == "__init__.py" else target.joinpath(*parts)
        place = place if place.suffix else place.with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _model(order: Order, target: Path) -> None:
    """The model's payload and manifest, digests checked, without whatever else lies in its directory."""
    artefact.check(order.model)
    for name in [*(entry.path for entry in order.model.manifest.files), manifest.NAME]:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(order.model.path / name, place)
