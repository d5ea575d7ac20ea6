"""Which of our own modules an image needs: those of runtime/ and everything that they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "mlops_cli"
_ROOT = Path(__file__).resolve().parents[1]


def closure(root: Path = _ROOT) -> dict[str, Path]:
    """The modules of `runtime/` and all of ours that they import, at the top or inside a function: name → file."""
    found: dict[str, Path] = {}
    queue = [_name(path, root) for path in sorted((root / "runtime").rglob("*.py"))]
    while queue:
        name = queue.pop()
        path = _file(name, root)
        if path is None or name in found:
            continue
        found[name] = path
        queue.extend(_parents(name))
        queue.extend(target for target in _imports(name, path) if target.split(".")[0] == PACKAGE)
    return dict(sorted(found.items()))


def third_party(modules: dict[str, Path]) -> set[str]:
    """The top-level names that modules import and that are not ours (the standard library's too)."""
    names = {target.split(".")[0] for name, path in modules.items() for target in _imports(name, path)}
    return names - {PACKAGE}


def _imports(name: str, path: Path) -> Iterator[str]:
    """Every dotted name that could be a module in the import statements of a file."""
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _name(path: Path, root: Path) -> str:
    parts = [PACKAGE, *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _file(name: str, root: Path) -> Path | None:
    """The source file of one of our modules; None for a name that is no module but something inside one."""
    below = root.joinpath(*name.split(".")[1:])
    for path in (below / "__init__.py", below.with_suffix(".py")):
        if path.is_file() and name.split(".")[0] == PACKAGE:
            return path
    return None
