"""YAML text into plain values: no tags that build objects, no key twice, one-line errors with the line number."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from mlops_cli.errors import InputUnusable, Missing, MissingExtra

try:
    import yaml
except ImportError as error:
    raise MissingExtra.of("PyYAML", "validate") from error

LARGEST = 4 << 20  # a rules file is written by people; more than this is data given by mistake


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; a key that stands twice in a mapping is an error instead of a silent loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict | set):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; what YAML 1.1 takes for a line break, and would fold, is written as an escape."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(letter in text for letter in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def written(value: Any) -> str:
    """Plain values as YAML that `read` gives back as they were."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def read(path: Path) -> tuple[Any, bytes]:
    """The values and the bytes of the YAML file at `path`.

    Missing when there is none, InputUnusable when it is not YAML or far too large; both name the file.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputUnusable(f"{path}: {path.stat().st_size} bytes are too many for a rules file", _HINT)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"{path}: no such rules file", "mlops validate --infer DATA > rules.yaml writes one") from error
    except OSError as error:
        raise InputUnusable(f"{path}: cannot be read: {error.strerror}") from error
    try:
        # not yaml.load(): the loader is a subclass of the safe one, which builds plain values only
        loader = _Loader(data.decode("utf-8-sig"))
        try:
            return plain(loader.get_single_data()), data
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise InputUnusable(f"{path}: not a text file (byte {error.start} is not UTF-8)", _HINT) from error
    except RecursionError as error:
        raise InputUnusable(f"{path}: nested too deeply", _HINT) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputUnusable(f"{path}: not YAML: {_what(error)}", _HINT) from error


_HINT = "rules are YAML in pandera's form; mlops validate --infer DATA writes an example"


def _what(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def plain(value: Any, depth: int = 0) -> Any:
    """The value with dates and times as ISO 8601 text, so that it has one spelling; aliases cannot blow it up."""
    if depth > 8:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        raise ValueError("binary values have no place in rules")
    return value
