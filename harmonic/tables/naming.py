"""The name of a table, and which column a setting means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmonic.errors import ConfigError
from harmonic.settings import text_of
from harmonic.shell import override

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def file_label(path: str | Path) -> str:
    """The name of the table in a file: the file's name without its endings."""
    name = Path(str(path)).name
    for ending in _PACKED:
        name = name.removesuffix(ending)
    return Path(name).stem.replace("\\", "_") or "table"


def column_named(given: Any, names: Sequence[str]) -> str:
    """The column with this name; if YAML has read the name as a number, the column whose name is that number.

    So `dataset.target=2024` means the column "2024", and `1e5`, which arrives as 100000.0, the column "1e5".
    """
    if isinstance(given, str) or text_of(given) in names:
        return text_of(given)
    alike = [name for name in names if _reads_as(name, given)]
    return alike[0] if len(alike) == 1 else text_of(given)


def _reads_as(name: str, given: Any) -> bool:
    if isinstance(given, bool):
        return name.lower() == text_of(given)
    try:
        return float(name) == float(given)
    except ValueError:
        return False


def columns_named(given: Mapping[Any, Any] | None, names: Sequence[str]) -> dict[str, Any]:
    """The same for the keys of a mapping."""
    return {column_named(name, names): value for name, value in (given or {}).items()}


def kinds_in(kinds: Mapping[Any, str] | str | None) -> Mapping[Any, str]:
    """The kinds in a mapping, or in the text of a mapping. Raises ConfigError for any other text."""
    import yaml

    if not isinstance(kinds, str):
        return kinds or {}
    example = override("dataset.kinds", {"zip": "category"})
    try:
        read = yaml.load(kinds, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ConfigError("dataset.kinds", kinds, "cannot be read", f"write it like {example}") from error
    if not isinstance(read, dict):
        problem = "must be a mapping, or a file that ends in .yaml"
        raise ConfigError("dataset.kinds", kinds, problem, f"write it like {example}")
    return {str(name): str(kind) for name, kind in read.items()}
