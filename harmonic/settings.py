"""One check for every value that a user gives, in YAML, on the command line or from Python.

The type hint of an argument says what its setting may be: `k: Count`, `metric: Metric` (a Literal), `path: str | None`.
Pydantic checks values strictly: "2" is not a number, and 2.5 is not a whole number. An invalid value is a ConfigError
that names the setting, says what is allowed, and shows a value that works.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from annotated_types import Ge, Gt, Le, Lt

from harmonic.errors import ConfigError, unknown
from harmonic.shell import override
from harmonic.type_hints import Fields as Fields
from harmonic.type_hints import Scalar, described, fits, mapping_of, needed, options, text_of, unwrapped

NOTHING: Any = inspect.Parameter.empty

Count = Annotated[int, Ge(1)]
"""A whole number of at least 1."""
Natural = Annotated[int, Ge(0)]
"""A whole number of at least 0."""
Positive = Annotated[float, Gt(0)]
"""A number above 0."""
NotNegative = Annotated[float, Ge(0)]
"""A number of at least 0."""
Between = Annotated[float, Gt(0), Lt(1)]
"""A number between 0 and 1, without both."""
Share = Annotated[float, Ge(0), Le(1)]
"""A number from 0 to 1."""
Chance = Annotated[float, Ge(0), Lt(1)]
"""A number from 0 to below 1."""
Text = Annotated[str, Scalar()]
"""A text. Numbers and truth values that YAML reads are taken as texts."""


def check_arguments(target: Callable[..., Any], given: Mapping[Any, Any], key: str = "") -> None:
    """Check that `target`, a class or function, can be called with the arguments `given`. key: where they are set.

    Raises ConfigError for the first argument that is unknown, missing or invalid by its type hint. TypedDicts, and
    mappings marked with Fields, are checked inside. A mapping with a `_target_` belongs to another call: not checked.
    """
    parameters = {name: one for name, one in _signature(target).items() if name != "self"}
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    hints = _hints(target)
    for name, value in given.items():
        if name in parameters:
            check_value(hints.get(str(name), Any), value, _path(key, name), parameters[name].default)
        elif not open_ended:
            raise unknown(_path(key, name), value, "setting", parameters, name=str(name))
    for name, one in parameters.items():
        required = one.default is NOTHING and one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
        if required and name not in given:
            raise _missing(_path(key, name), hints.get(name, Any))


def check_fields(settings: Any, key: str = "") -> None:
    """Check the fields of a dataclass object in the same way. Raises ConfigError if one is invalid."""
    given = {field.name: getattr(settings, field.name) for field in fields(settings) if field.init}
    check_arguments(type(settings), given, key)


def check_value(hint: Any, value: Any, key: str, default: Any = NOTHING) -> None:
    """Check the value by the type hint. Raises ConfigError; its fix is the default, if there is one."""
    if isinstance(value, Mapping) and "_target_" in value:
        return
    inner = mapping_of(hint)
    if inner is not None and isinstance(value, Mapping):
        kind, closed = inner
        if closed:
            _check_typed_dict(kind, value, key)
        else:
            check_arguments(kind, value, key)
        return
    if not fits(hint, value):
        raise ConfigError(key, value, f"must be {described(hint)}", _advice(hint, value, key, default))


def allowed(target: Callable[..., Any]) -> dict[str, tuple[str, Any]]:
    """The allowed values of each argument of a class, or key of a TypedDict: {"k": ("a whole number …", None)}.

    The second entry is the class or TypedDict of the keys, if the value is a mapping of settings.
    """
    if is_typeddict(target):
        hints = {name: needed(hint) for name, hint in get_type_hints(target, include_extras=True).items()}
    else:
        known = _hints(target)
        named = [one.name for one in _signature(target).values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        hints = {name: known.get(name, Any) for name in named if name != "self"}
    return {name: (described(hint), (mapping_of(hint) or (None,))[0]) for name, hint in hints.items()}


def near(key: str, wrong: str, known: Iterable[str]) -> str:
    """Settings to type, with the known values that are most similar to the wrong one; all of them if none is."""
    names = list(known)
    close = get_close_matches(wrong, names, n=2, cutoff=0.6)
    return " or ".join(override(key, name) for name in close) or f"known: {', '.join(sorted(names))}"


# ---- type hints


def _signature(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(target).parameters


@lru_cache(maxsize=256)
def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    source = target.__init__ if isinstance(target, type) and not is_dataclass(target) else target  # type: ignore[misc]
    try:
        return get_type_hints(source, include_extras=True)
    except NameError:  # a name that only type checkers import
        return {}


def _check_typed_dict(kind: Any, value: Mapping[Any, Any], key: str) -> None:
    found = get_type_hints(kind, include_extras=True)
    hints = {name: needed(hint) for name, hint in found.items()}
    optional = NotRequired if kind.__total__ else None
    required = [name for name, hint in found.items() if optional and get_origin(hint) is not optional]
    for name, inner in value.items():
        if name not in hints:
            raise unknown(_path(key, name), inner, "setting", hints, name=str(name))
        check_value(hints[name], inner, _path(key, name))
    for name in required:
        if name not in value:
            raise _missing(_path(key, name), hints[name])


# ---- words


def _advice(hint: Any, value: Any, key: str, default: Any) -> str:
    """A setting that works, or similar names."""
    for option in options(hint):
        inner, _ = unwrapped(option)
        if get_origin(inner) is Literal and isinstance(value, str):
            return near(key, value, map(text_of, get_args(inner)))
    if isinstance(value, float) and value.is_integer() and fits(hint, int(value)):
        return override(key, int(value))
    if isinstance(value, str) and fits(hint, [value]):
        return override(key, [value])
    if isinstance(value, list | tuple) and len(value) == 1 and fits(hint, value[0]):
        return override(key, value[0])
    if default is not NOTHING and default is not MISSING and _can_be_typed(default) and fits(hint, default):
        return override(key, default)
    example = _example(hint)
    return override(key, example) if example is not NOTHING else f"give {described(hint)}"


def _can_be_typed(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_can_be_typed, value))
    return value is None or isinstance(value, bool | int | float | str)


def _example(hint: Any) -> Any:
    """A value that fits."""
    candidates: tuple[Any, ...] = (None, 1, 0.5, 2, 0, False, "auto", [], {})
    return next((value for value in candidates if fits(hint, value)), NOTHING)


def _missing(key: str, hint: Any) -> ConfigError:
    example = _example(hint)
    fix = override(key, example) if example is not NOTHING else f"give {described(hint)}"
    return ConfigError(key, "(nothing)", f"is not given; it must be {described(hint)}", fix)


def _path(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)
