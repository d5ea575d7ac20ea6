"""What goes into an image from our own package is what serving imports: all of it and little else."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from mlops_cli.targets import modules, wheels
from mlops_cli.targets.platforms import assumed


def test_closure_follows_every_kind_of_import(tmp_path: Path) -> None:
    files = {
        "__init__": "",
        "runtime/__init__": "",
        "runtime/__main__": "def f():\n    from mlops_cli.store import one\n    from . import two\n",
        "runtime/two": "import mlops_cli.store.three\nfrom mlops_cli.errors import Outside\nfrom ..deep.er import x\n",
        "store/__init__": "",
        "store/one": "import numpy.linalg",
        "store/three": "",
        "store/unused": "",
        "errors": "",
        "deep/__init__": "",
        "deep/er": "",
        "cli": "import typer",
    }
    for name, text in files.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = modules.closure(tmp_path)
    short = {name.removeprefix("mlops_cli").removeprefix(".") for name in found}
    runtime = {"runtime", "runtime.__main__", "runtime.two"}
    assert short == {"", *runtime, "store", "store.one", "store.three", "errors", "deep", "deep.er"}
    assert modules.third_party(found) == {"numpy"}


def test_no_command_or_training_code_is_in_it() -> None:
    folders = {name.split(".")[1] for name in modules.closure() if "." in name}
    assert {"runtime", "store", "errors"} <= folders
    assert not folders & {"cli", "commands", "steps", "models", "sources", "targets", "drift", "reports"}


def test_every_library_that_it_imports_is_packed() -> None:
    packed = {found.metadata["Name"].lower() for found in wheels.distributions(assumed(), wheels.serving("onnx"))}
    owners = packages_distributions()
    for name in sorted(modules.third_party(modules.closure()) - set(sys.stdlib_module_names)):
        owned_by = {owner.lower() for owner in owners.get(name, [name])}
        assert owned_by & packed, f"{name} is imported but not in the image"


def test_the_closure_runs_alone(tmp_path: Path) -> None:
    """Importing every packed module with nothing of ours beside it on the path needs no other module of ours."""
    found = modules.closure()
    for path in found.values():
        inner = path.relative_to(Path(modules.__file__).parents[1])
        place = tmp_path / "mlops_cli" / inner
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    names = [name for name in found if not name.endswith("__main__")]
    code = f"""
import importlib, sys
sys.path.insert(0, {str(tmp_path)!r})
for name in {names!r}:
    importlib.import_module(name)
ours = [module for name, module in sys.modules.items() if name.startswith("mlops_cli")]
print(all(module.__file__.startswith({str(tmp_path)!r}) for module in ours))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "True", done.stderr
