"""Errors of Hydra and OmegaConf in plain words: what was typed, what is wrong, and what to type."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import conf
from experiments.configuration.checking import check_configuration
from experiments.configuration.moved_keys import check_moved
from harmonic.errors import ConfigError, suggest
from harmonic.settings import near
from harmonic.shell import override, quoted

CONF = Path(str(conf.__file__)).resolve().parent
EXTRAS = {"submitit_slurm": "slurm", "ray": "ray"}  # launchers of plugins, and our extras that install them
GROUPS = ("dataset", "llm", "generator", "evaluator", "tracker", "scale", "launcher", "experiment")


WHOLE_TRACE = "HYDRA_FULL_ERROR"
"""Environment variable of Hydra: errors are raised instead of printed. Users set it to see the whole traceback."""


@contextmanager
def raised() -> Iterator[None]:
    """Within this block, Hydra raises its errors. By itself it prints them and ends the process."""
    before = os.environ.get(WHOLE_TRACE)
    os.environ[WHOLE_TRACE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(WHOLE_TRACE)
        else:
            os.environ[WHOLE_TRACE] = before


@contextmanager
def plain_errors(config: DictConfig | None = None, words: Sequence[str] = ()) -> Iterator[None]:
    """Within this block, errors of Hydra and OmegaConf become ConfigErrors.

    `words`: those of the command line; `config`: the configuration that is resolved.
    """
    try:
        yield
    except OverrideParseException as error:
        raise _unreadable(error) from error
    except MissingConfigException as error:
        raise _no_such_choice(error, words) from error
    except ConfigCompositionException as error:
        raise _no_such_setting(error, words) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _not_built(error, config) from error


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration in plain containers. Raises ConfigError for the first invalid value."""
    with plain_errors(config):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_configuration(plain)
    return plain


def check_words(words: Sequence[str]) -> None:
    """Raise ConfigError for words for which Hydra would print a traceback: without a key, or with an odd choice."""
    parser = OverridesParser.create()
    for word in words:
        if word.startswith("-") or "=" not in word:
            continue
        try:
            given = parser.parse_override(word)
        except HydraException:
            continue  # Hydra says so itself
        group, value = given.key_or_group, given.value()
        if not group:
            raise ConfigError("override", word, "has no key", "write it as key=value")
        check_moved(group, value)
        if group in GROUPS and isinstance(value, int | float | dict):
            raise ConfigError(group, value, "is not one of the choices", f"known: {', '.join(_choices(group))}")


def _choices(group: str) -> list[str]:
    return sorted(entry.stem for entry in (CONF / group).glob("*.yaml"))


def _unreadable(error: OverrideParseException) -> ConfigError:
    """The error for a word that Hydra cannot parse."""
    key, equals, value = error.override.partition("=")
    problem = f"cannot be read ({str(error.__cause__ or error).strip().splitlines()[0]})"
    if not equals or not re.fullmatch(r"[+~]*[\w./@:-]+", key):
        return ConfigError("override", error.override, problem, "write it as key=value")
    if value.startswith("{"):
        return ConfigError(key, value, problem, f"write a mapping like {override(key, {'name': 'value'})}")
    if value.startswith("[") and value.endswith("]"):
        items = [item.strip().strip("'\"") for item in value[1:-1].split(",")]
        return ConfigError(key, value, problem, f"quote its items: {override(key, items)}")
    return ConfigError(key, value, problem, f"quote it: {override(key, value)}")


def _no_such_choice(error: MissingConfigException, words: Sequence[str]) -> ConfigError:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return ConfigError("configuration", name, "was not found", "leave out --config-name and --config-dir")
    if group == "hydra/launcher" and name in EXTRAS:
        problem = "needs a plugin of Hydra that is not installed"
        return ConfigError("launcher", EXTRAS[name], problem, f"pip install 'harmonic[{EXTRAS[name]}]'")
    return ConfigError(
        group, _typed(group, words) or name, f"unknown {group} {name!r}", near(group, name, error.options or [])
    )


def _no_such_setting(error: ConfigCompositionException, words: Sequence[str]) -> ConfigError:
    message = str(error).strip()
    taken = re.search(r"An item is already at '([^']+)'", message)
    if taken:
        key, value = taken[1], _typed(f"+{taken[1]}", words)
        return ConfigError(f"+{key}", value, "exists already", f"leave out the +: {quoted(f'{key}={value}')}")
    named = re.search(r"Could not (?:override|delete from config)[^']*'([^'\s]+)'", message)
    inner = re.search(r"full_key: (\S+)", f"{message}\n{error.__cause__}")
    if named is None or type(error.__cause__).__name__ in ("ValidationError", "UnsupportedValueType"):
        first = str(error.__cause__ or message).strip().splitlines()[0]
        key, value = (inner[1], _typed(inner[1], words)) if inner else ("configuration", " ".join(words))
        return ConfigError(key, value, first, "harmonic --help lists every choice")
    key = inner[1] if inner and inner[1].startswith(f"{named[1]}.") else named[1]
    return ConfigError(key, _typed(key, words), f"unknown setting {key.rpartition('.')[2]!r}", _near(key, words))


def _typed(key: str, words: Sequence[str]) -> str:
    """The value that the command gives to the key."""
    given = [word.partition("=")[2] for word in words if word.partition("=")[0] in (key, f"~{key}")]
    return given[-1] if given else ""


def _near(key: str, words: Sequence[str]) -> str:
    """Settings in the same place with a similar name, with the typed value."""
    value, (parent, _, name) = _typed(key, words), key.rpartition(".")
    start = f"{parent}." if parent else ""
    beside = {one[len(start) :].split(".")[0] for one in _settings(words) if one.startswith(start)}
    if parent == "choose" and not beside:
        return "it is a setting of a preset: harmonic -m experiment=choose"
    if not beside:
        return f"{parent} has no settings"
    known = sorted(one for one in beside if not one.startswith("_"))
    advice = suggest(name, known) if known else f"{parent} has no settings"
    close = re.findall(r"'([^']+)'", advice) if advice.startswith("did you mean") else []
    return " or ".join(quoted(f"{start}{one}={value}") if value else f"{start}{one}" for one in close) or advice


def _settings(words: Sequence[str]) -> list[str]:
    """All dotted settings of the configuration with the choices in `words`."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    choices = [word for word in words if re.fullmatch(rf"({'|'.join(GROUPS)})=[\w\[\],/]+", word)]
    choices = [re.sub(r"^(\w+=\w+),.*", r"\1", word) for word in choices]  # of a sweep the first
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_module("conf", version_base="1.3"):
            for given in (choices, []):
                try:
                    config = hydra.compose("config", given, return_hydra_config=True)
                    return list(_dotted(OmegaConf.to_container(config), ""))
                except HydraException:  # a choice is wrong, too
                    continue
    finally:
        GlobalHydra.instance().clear()
        if before is not None:
            GlobalHydra.instance().initialize(before)
    return []


def _dotted(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, inner in node.items():
            here = f"{path}.{name}" if path else str(name)
            yield here
            yield from _dotted(inner, here)


def _not_built(error: Exception, config: DictConfig | None) -> ConfigError:
    """The error for a value that cannot be resolved, or for a part that cannot be built."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, InstantiationException):
        named = re.search(r"full_key: (\S+)", str(error))
        key, cause = named[1] if named else "configuration", error.__cause__ or error
        problem = f"cannot be built ({type(cause).__name__}: {(str(cause).strip() or first).splitlines()[0]})"
        return ConfigError(key, "…", problem, f"compare it with conf/{key.split('.')[0]}")
    key = str(getattr(error, "full_key", None) or "configuration")
    value = None if config is None else _raw(config, key)
    if isinstance(value, str) and value.startswith("${at_scale:"):
        return ConfigError(key, value, "has no value for this scale", "add one in its file, or choose scale=quick")
    if isinstance(value, str) and "${" in value:
        return ConfigError(key, value, first, f"if it is a text, write {override(key, value)}")
    return ConfigError(key, value, first, "harmonic --cfg job prints the configuration")


def _raw(config: DictConfig, key: str) -> Any:
    """The value as typed, before it is resolved."""
    node: Any = OmegaConf.to_container(config, resolve=False)
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node
