"""What a type hint allows: whether a value fits it, and its values in words."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, is_typeddict

from annotated_types import Ge, Gt, Le, Lt

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Any: "anything"}
_LIMITS: tuple[tuple[type, str, str], ...] = (
    (Ge, "ge", "of at least {}"),
    (Gt, "gt", "above {}"),
    (Le, "le", "of at most {}"),
    (Lt, "lt", "below {}"),
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Marks a mapping of settings: its keys are the arguments of the class `of`."""

    of: type


@dataclass(frozen=True, slots=True)
class Scalar:
    """Marks a text that YAML may read as a number or a truth value, such as a column called 2024."""


def described(hint: Any) -> str:
    """The values that a type hint allows, in words, such as "a whole number of at least 1, or null"."""
    allowed = options(hint)
    words = [_option(option) for option in allowed if option is not type(None)]
    return " or ".join(words) + (", or null" if type(None) in allowed else "")


def text_of(value: Any) -> str:
    """A scalar as it is written in YAML or on the command line: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def options(hint: Any) -> list[Any]:
    """The alternatives of a union, in order; for another hint, the hint itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return [option for part in get_args(hint) for option in options(part)]
    return [hint]


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A hint without its annotations, and the annotations."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def mapping_of(hint: Any) -> tuple[Any, bool] | None:
    """The class (False) or TypedDict (True) whose keys a mapping has, if the hint says so."""
    for option in options(hint):
        inner, marks = unwrapped(option)
        for mark in marks:
            if isinstance(mark, Fields):
                return mark.of, False
        if is_typeddict(inner):
            return inner, True
    return None


def needed(hint: Any) -> Any:
    """The hint of a TypedDict's key, whether or not the key must be there."""
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint


def fits(hint: Any, value: Any) -> bool:
    """Whether the value is one that the type hint allows; a list may be any sequence."""
    from pydantic import ValidationError

    if isinstance(value, tuple | list):  # YAML has one kind of sequence
        value = list(value)
    try:
        _adapter(_plain(hint)).validate_python(value)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=512)
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, InstanceOf, TypeAdapter

    if is_dataclass(hint):
        return TypeAdapter(InstanceOf[hint])
    config = ConfigDict(arbitrary_types_allowed=True, strict=True, allow_inf_nan=False)
    return TypeAdapter(hint, config=config)


def _plain(hint: Any) -> Any:
    """The hint for Pydantic: a Scalar may be a number, and a list any sequence."""
    inner, marks = unwrapped(hint)
    if any(isinstance(mark, Scalar) for mark in marks):
        return Union[str, int, float, bool]  # noqa: UP007 (built at run time)
    if marks:
        kept = [mark for mark in marks if not isinstance(mark, Fields)]
        return Annotated[(_plain(inner), *kept)] if kept else _plain(inner)
    origin, arguments = get_origin(inner), get_args(inner)
    if origin in (Union, types.UnionType):
        return Union[tuple(_plain(option) for option in arguments)]  # noqa: UP007
    if origin in (list, tuple, Sequence):
        return list[_plain(arguments[0])]  # type: ignore[misc]
    if origin in (dict, Mapping):
        return dict[_plain(arguments[0]), _plain(arguments[1])]  # type: ignore[misc]
    if is_typeddict(inner):
        return dict[str, Any]
    return inner


def _option(hint: Any) -> str:
    inner, marks = unwrapped(hint)
    origin, arguments = get_origin(inner), get_args(inner)
    if any(isinstance(mark, Scalar) for mark in marks):
        return "a text"
    if origin is Literal:
        return "one of " + ", ".join(map(text_of, arguments))
    if origin in (list, tuple, Sequence):
        return f"a list, each {described(arguments[0])}"
    if origin in (dict, Mapping) or is_typeddict(inner) or inner is dict:
        return "a mapping, such as {name: value}"
    limits = [
        words.format(getattr(mark, name)) for mark in marks for kind, name, words in _LIMITS if type(mark) is kind
    ]
    name = _NAMES.get(inner) or f"a {getattr(inner, '__name__', inner)}"
    return name + (" " + " and ".join(limits) if limits else "")
