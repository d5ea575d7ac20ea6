"""The Dockerfile of a served model: what it copies, whose name it runs under, what its labels say."""

from __future__ import annotations

import json
import os
import time

from mlops_cli import __version__
from mlops_cli.runtime.signature import Signature
from mlops_cli.targets.base import Order

PORT = 8080
USER = "65532:65532"  # nobody's; distroless images call it nonroot
HOME = "/opt/mlops"
MODEL = f"{HOME}/model"
LOG = "/var/log/mlops"  # a place that the user of the image can write, for `--log` and a volume

_HEALTH = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/v2/health/ready', timeout=2)"
_ENVIRONMENT = {
    "PYTHONPATH": f"{HOME}/src:{HOME}/site",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "LD_LIBRARY_PATH": f"{HOME}/lib",
    "MLOPS_LIB_LIGHTGBM": f"{HOME}/lib/lib_lightgbm.so",
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_NUM_THREADS": "1",
}


def text(order: Order, base: str, labels: dict[str, str]) -> str:
    """A Dockerfile that builds from the context beside it, by `docker build` too.

    What changes least is copied first. The code is compiled as the image is built, since later nothing can be written.
    """
    lines = [
        f"FROM {base}",
        "USER 0:0",
        "ENV " + " ".join(f"{name}={value}" for name, value in _ENVIRONMENT.items()),
        f"COPY lib/ {HOME}/lib/",
        f"COPY site/ {HOME}/site/",
        _compiled("site"),
        f"COPY src/ {HOME}/src/",
        _compiled("src"),
        f"COPY --chown={USER} log/ {LOG}/",
        f"COPY model/ {MODEL}/",
        "LABEL " + " \\\n      ".join(f"{name}={_quoted(value)}" for name, value in sorted(labels.items())),
        f"USER {USER}",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        "HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD " + json.dumps(["python3", "-c", _HEALTH]),
        "ENTRYPOINT " + json.dumps(entry_point(order)),
    ]
    return "\n".join(lines) + "\n"


def _compiled(folder: str) -> str:
    """The instruction that compiles the modules of a folder; bytes of the result do not depend on the time."""
    command = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"{HOME}/{folder}"]
    return "RUN " + json.dumps(command)


def entry_point(order: Order) -> list[str]:
    """The command of the image; `docker run IMAGE --log /var/log/mlops` adds flags to it."""
    command = ["python3", "-m", "mlops_cli.runtime", MODEL, "--host", "0.0.0.0", "--port", str(PORT)]
    version = ["--model-version", order.version] if order.version else []
    return [*command, "--name", order.name, *version]


def labels(order: Order, signature: Signature, base: str, digest: str | None) -> dict[str, str]:
    """The OCI labels, and our own under `dev.mlops.`: what the image holds and what vouches for it."""
    model = order.model
    about = f"{signature.family} model ({signature.task}) of {signature.target}, served by mlops {__version__}"
    found = {
        "org.opencontainers.image.title": order.name,
        "org.opencontainers.image.version": order.shown_version,
        "org.opencontainers.image.created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(order.created)),
        "org.opencontainers.image.description": f"{order.name} {order.shown_version}: {about}",
        "org.opencontainers.image.base.name": base,
        "dev.mlops.model.id": model.id,
        "dev.mlops.model.name": order.name,
        "dev.mlops.model.version": order.shown_version,
        "dev.mlops.version": __version__,
    }
    if order.tag:
        found["org.opencontainers.image.ref.name"] = order.tag
    if digest:
        found["org.opencontainers.image.base.digest"] = digest
    git = model.manifest.environment.get("git") or {}
    if git.get("commit") and not git.get("dirty"):
        found["org.opencontainers.image.revision"] = git["commit"]
    if order.evaluations:
        found["dev.mlops.evaluation.id"] = ",".join(order.evaluations)
    return {**found, **_described_by_user()}


def _described_by_user() -> dict[str, str]:
    """What only the user knows: $MLOPS_IMAGE_SOURCE and $MLOPS_IMAGE_LICENSES."""
    known = {"source": os.environ.get("MLOPS_IMAGE_SOURCE"), "licenses": os.environ.get("MLOPS_IMAGE_LICENSES")}
    return {f"org.opencontainers.image.{name}": value for name, value in known.items() if value}


def _quoted(value: str) -> str:
    """A label's value as the Dockerfile's parser reads it: nothing in it is a variable or ends the line."""
    kept = "".join(" " if ord(letter) < 32 or letter == "\x7f" else letter for letter in value)
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
