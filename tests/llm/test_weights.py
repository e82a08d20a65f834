"""Reading weights: what is no model is refused."""

from __future__ import annotations

import pytest

from harmonic.errors import ConfigError
from harmonic.llm import weights


def test_a_file_too_small_to_be_a_model_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"version https://git-lfs")
    with pytest.raises(ConfigError, match=r"llm.file=model.gguf: is too small"):
        weights.convert_gguf(tmp_path / "model.gguf", tmp_path / "out")
