"""What starting costs: light commands import nothing heavy, and the house keeps its sizes."""

from __future__ import annotations

import ast
import importlib
import inspect
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from makers import context, entry, sealed

import mlops_cli
from mlops_cli import cli as command_line
from mlops_cli.steps import promote
from mlops_cli.store import registry

PACKAGE = Path(mlops_cli.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {
    "adbc_driver_manager", "altair", "apprise", "asyncio", "concurrent.futures", "deltalake", "docker", "duckdb",
    "email", "granian", "http", "importlib.metadata", "joblib", "lightgbm", "multiprocessing", "narwhals", "numpy",
    "obstore", "onnxruntime", "optuna", "pandas", "pandera", "PIL", "pkg_resources", "polars", "polars_hash", "pyarrow",
    "pydantic", "ray", "requests", "rich", "scipy", "sklearn", "socket", "sqlite3", "ssl", "torch", "unittest",
    "urllib.request", "uvicorn", "vl_convert", "xml", "yaml",
}  # fmt: skip
LIGHT = [
    ["--help"], ["--version"], ["list"], ["list", "m"], ["list", "--json"], ["inspect", "m@1"],
    ["inspect", "model", "--verify"], ["inspect", "m@production", "--lineage"], ["promote", "m@1", "staging"],
    ["promote", "m@1", "staging", "--require", "f1>=0.5"], ["promote", "m", "production", "--history"],
    ["register", "model", "--name", "m"], ["gc"], ["nonsense"], ["inspect", "nothing"],
    *([name, "--help"] for name in command_line.COMMANDS),
]  # fmt: skip


@pytest.fixture
def life(work: Path) -> Path:
    """A registry with one model and one alias."""
    made = sealed(work / "model")
    registry.locate(None, create=True).register("m", entry(made))
    promote.run(context(work), "m@1", promote.Options("production"))
    return work


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_light_commands_import_nothing_heavy(life: Path, words: list[str]) -> None:
    code = "import sys; from mlops_cli import cli; cli.run(sys.argv[1:]); print('\\n', *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True)
    assert "bug:" not in done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "mlops_cli.cli" in loaded
    assert sorted(HEAVY & loaded) == []


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_commands_import_typer_and_the_standard_library(name: str) -> None:
    tree = ast.parse((PACKAGE / "commands" / f"{name}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            top = module.split(".")[0]
            allowed = ("mlops_cli.commands._", "mlops_cli.errors.", "mlops_cli.logs.")
            assert top == "typer" or top in sys.stdlib_module_names or module.startswith(allowed), module


def test_one_file_is_one_command() -> None:
    names = {path.stem for path in (PACKAGE / "commands").glob("*.py") if not path.stem.startswith("_")}
    assert names == set(command_line.COMMANDS)
    for name, summary in command_line.COMMANDS.items():
        module = importlib.import_module(f"mlops_cli.commands.{name}")
        assert (inspect.getdoc(module.main) or "").splitlines()[0] == summary
        assert len(inspect.getsource(module).splitlines()) <= 80, name


def functions(path: Path) -> list[tuple[str, int]]:
    """The functions of a file and how many lines each has, without its docstring."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            lines = (node.end_lineno or 0) - node.lineno + 1
            found.append((f"{path.name}:{node.name}", lines - ((doc.end_lineno or 0) - doc.lineno + 1 if doc else 0)))
    return found


def nineties(numbers: list[int]) -> float:
    """The 90th percentile."""
    return statistics.quantiles(numbers, n=10)[-1]


def test_house_sizes() -> None:
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
    assert statistics.median(sizes.values()) <= 120
    assert nineties(list(sizes.values())) <= 250
    lengths = [one for path in FILES for one in functions(path)]
    assert [one for one in lengths if one[1] > 60] == []
    assert nineties([length for _, length in lengths]) <= 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_and_leaves_nothing_open(path: Path) -> None:
    text = path.read_text()
    doc = ast.get_docstring(ast.parse(text))
    assert doc, "no docstring"
    assert doc.split("\n\n")[0].rstrip().endswith((".", "?")), doc
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError", "import pickle", "joblib.load", "torch.load"):
        assert word not in text, word
    assert path.stem not in ("utils", "helpers", "misc")
