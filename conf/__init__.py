"""The choices: a group is a role, a file is a choice.

Besides OmegaConf's own, the files use one more interpolation: `${at_scale:{paper:1000, quick:300, smoke:3}}` is the
value for the scale that `scale=` chooses. So the sizes of a generator stand beside it. It is registered by importing
this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf


def at_scale(values: Mapping[str, Any], *, _root_: DictConfig) -> Any:
    """The value for the configuration's scale. Raises KeyError if there is none for it."""
    name = _root_.scale.name
    if name not in values:
        raise KeyError(f"no value for scale={name}; there is one for {', '.join(values)}")
    return values[name]


OmegaConf.register_new_resolver("at_scale", at_scale, replace=True)
