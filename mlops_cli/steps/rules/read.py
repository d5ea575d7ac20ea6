"""A rules file into structs: every key, check and argument is one of pandera's vocabulary, or the file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mlops_cli.errors import InputUnusable
from mlops_cli.steps import near
from mlops_cli.steps.rules import contradictions, read_table, types, words, yaml_text
from mlops_cli.steps.rules.form import (
    ALIASES,
    CHECK_OPTIONS,
    CHECKS,
    COLUMN_KEYS,
    TABLE_KEYS,
    VALUE,
    CheckRule,
    ColumnRule,
    Rules,
)

_TEXTS = ("name", "title", "description", "version", "api", "dataframe_library")


def load(path: Path) -> Rules:
    """The rules in the YAML file `path`.

    Missing without a file; InputUnusable, naming the file and the key, when anything in it is not understood.
    """
    data, _ = yaml_text.read(path)
    return parse(data, str(path))


def parse(data: Any, source: str) -> Rules:
    """The rules in `data`, what YAML gives for a file called `source`."""
    if data is None:
        raise InputUnusable(f"{source}: the rules file is empty", "mlops validate --infer DATA writes one")
    table = words.mapping(data, source, "the file")
    words.only(table, TABLE_KEYS, source, "")
    _table_kind(table, source)
    columns = words.mapping(table.get("columns") or {}, source, "columns")
    rules = Rules(
        source=source,
        columns=tuple(_column(name, keys, source) for name, keys in columns.items()),
        checks=_checks(table.get("checks"), source, "checks"),
        dtype=_dtype(table.get("dtype"), source, "dtype"),
        coerce=words.flag(table, "coerce", False, source, ""),
        strict=_strict(table.get("strict"), source),
        ordered=words.flag(table, "ordered", False, source, ""),
        unique=_unique(table.get("unique"), source),
        add_missing_columns=words.flag(table, "add_missing_columns", False, source, ""),
        name=table.get("name"),
        rows=read_table.expressions(table.get("rules"), source),
        dataset=read_table.dataset(table.get("dataset"), source),
    )
    contradictions.check(rules)
    return rules


def _table_kind(table: dict[str, Any], source: str) -> None:
    kind = table.get("schema_type", "dataframe")
    if kind not in ("dataframe", "polars_dataframe"):
        raise InputUnusable(f"{source}: schema_type: {kind!r} is not a table", "use schema_type: dataframe")
    if table.get("index") is not None:
        raise InputUnusable(f"{source}: index: {words.NOT_HERE['multiindex']}", "make it a column")
    _duplicates_all(table, source, "")
    for key in ("unique_column_names", "drop_invalid_rows"):
        words.flag(table, key, False, source, "")
    for key in _TEXTS:
        words.text(table, key, source, "")


def _column(name: Any, keys: Any, source: str) -> ColumnRule:
    if not isinstance(name, str):
        raise InputUnusable(f"{source}: columns: the name {name!r} is not text", "put it in quotes")
    where = f"columns.{name}"
    column = words.mapping(keys or {}, source, where)
    flat = {key: value for key, value in column.items() if ALIASES.get(key, key) in CHECKS}
    words.only({key: value for key, value in column.items() if key not in flat}, (*COLUMN_KEYS, *CHECKS), source, where)
    _duplicates_all(column, source, where)
    words.flag(column, "drop_invalid_rows", False, source, where)
    for key in ("name", "title", "description"):
        words.text(column, key, source, where)
    default = column.get("default")
    if default is not None and not isinstance(default, bool | int | float | str):
        raise InputUnusable(f"{source}: {where}.default: {default!r} is not a single value")
    warning = words.warns(column, False, source, where)
    max_bad = words.limit(column, None, source, where)
    given = (
        *_checks(column.get("checks"), source, f"{where}.checks", warning, max_bad),
        *_checks(flat or None, source, where, warning, max_bad),
    )
    return ColumnRule(
        name=name,
        dtype=_dtype(column.get("dtype"), source, f"{where}.dtype"),
        nullable=words.flag(column, "nullable", False, source, where),
        unique=words.flag(column, "unique", False, source, where),
        coerce=words.flag(column, "coerce", False, source, where),
        required=words.flag(column, "required", True, source, where),
        regex=words.flag(column, "regex", False, source, where) or (name.startswith("^") and name.endswith("$")),
        default=default,
        decodes=words.flag(column, "decodes", False, source, where),
        near_duplicates=_distance(column.get("near_duplicates"), source, f"{where}.near_duplicates"),
        warning=warning,
        max_bad=max_bad,
        checks=given,
    )


def _distance(value: Any, source: str, where: str) -> int | None:
    """The bits in which near-duplicates may differ: `true` is the usual number."""
    if value is None or isinstance(value, bool):
        return near.DISTANCE if value else None
    if not isinstance(value, int) or not 0 <= value <= near.MOST:
        raise InputUnusable(f"{source}: {where}: {words.short(value)} is neither true nor 0 to {near.MOST} bits")
    return value


def _checks(
    given: Any, source: str, where: str, warning: bool = False, max_bad: str | None = None
) -> tuple[CheckRule, ...]:
    """Checks in any of pandera's three spellings: {name: value}, {name: {arguments}}, [{arguments, options}].

    `warning` and `max_bad` are those of the column, for checks that do not say their own.
    """
    if given is None:
        return ()
    if isinstance(given, dict):
        return tuple(_check(name, value, source, f"{where}.{name}", warning, max_bad) for name, value in given.items())
    if not isinstance(given, list):
        raise InputUnusable(f"{source}: {where}: {words.short(given)} is not a mapping of checks")
    found = []
    for number, entry in enumerate(given):
        item = dict(words.mapping(entry, source, f"{where}[{number}]"))
        options = dict(words.mapping(item.pop("options", None) or {}, source, f"{where}[{number}].options"))
        name = options.pop("check_name", None)
        if name is None:
            raise InputUnusable(f"{source}: {where}[{number}]: options.check_name is missing")
        found.append(_check(name, {**item, "options": options}, source, f"{where}[{number}]", warning, max_bad))
    return tuple(found)


def _check(spelt: Any, value: Any, source: str, where: str, warning: bool, max_bad: str | None) -> CheckRule:
    name = ALIASES.get(str(spelt), str(spelt))
    if name not in CHECKS:
        raise InputUnusable(f"{source}: {where}: {words.unknown('check', str(spelt))}", words.close(str(spelt), CHECKS))
    arguments, options = _arguments(name, value, source, where)
    _options_ok(options, source, where)
    return CheckRule(
        name=name,
        arguments=arguments,
        where=where,
        ignore_na=words.flag(options, "ignore_na", True, source, where),
        raise_warning=words.warns(options, warning, source, where),
        error=words.text(options, "error", source, where),
        max_bad=words.limit(options, max_bad, source, where),
    )


def _arguments(name: str, value: Any, source: str, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments by name, and the options."""
    names = CHECKS[name]
    if not isinstance(value, dict):
        if len(names) == 1 or (name == "str_length" and isinstance(value, int)):
            return {names[0] if len(names) == 1 else "exact_value": value}, {}
        raise InputUnusable(f"{source}: {where}: {words.short(value)} is not enough", f"it takes {', '.join(names)}")
    given = dict(value)
    options = dict(words.mapping(given.pop("options", None) or {}, source, f"{where}.options"))
    options.pop("check_name", None)
    options.update({key: given.pop(key) for key in CHECK_OPTIONS if key in given})
    if VALUE in given and VALUE not in names and len(given) == 1:
        given = {"exact_value" if name == "str_length" else names[0]: given[VALUE]}
    words.only(given, names, source, where)
    optional = {"include_min", "include_max"} if name == "in_range" else set(names) if len(names) > 1 else set()
    if missing := [key for key in names if key not in given and key not in optional]:
        raise InputUnusable(f"{source}: {where}: {missing[0]} is missing")
    return given, options


def _options_ok(options: dict[str, Any], source: str, where: str) -> None:
    words.only(options, CHECK_OPTIONS, source, where)
    for key in ("name", "title", "description"):
        words.text(options, key, source, where)
    limit = options.get("n_failure_cases")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise InputUnusable(f"{source}: {where}.n_failure_cases: {words.short(limit)} is not a number")


def _dtype(value: Any, source: str, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputUnusable(f"{source}: {where}: {words.short(value)} is not the name of a type", "for instance int64")
    return types.parse(value, f"{source}: {where}").name


def _strict(value: Any, source: str) -> bool | Literal["filter"]:
    if value is None or isinstance(value, bool):
        return bool(value)
    if value == "filter":
        return "filter"
    raise InputUnusable(f"{source}: strict: {words.short(value)} is not true, false or filter")


def _unique(value: Any, source: str) -> tuple[tuple[str, ...], ...]:
    if value is None:
        return ()
    sets = [value] if isinstance(value, str) else value
    if isinstance(sets, list) and sets and all(isinstance(item, str) for item in sets):
        return (tuple(sets),)
    lists = isinstance(sets, list) and all(isinstance(item, list) and item for item in sets)
    if lists and all(isinstance(name, str) for item in sets for name in item):
        return tuple(tuple(item) for item in sets)
    raise InputUnusable(f"{source}: unique: {words.short(value)} is not a list of columns")


def _duplicates_all(given: dict[str, Any], source: str, where: str) -> None:
    value = given.get("report_duplicates", "all")
    if value != "all":
        place = f"{where}.report_duplicates" if where else "report_duplicates"
        raise InputUnusable(f"{source}: {place}: {words.short(value)} is not supported", "every duplicate is reported")
