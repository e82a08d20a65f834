"""A language model from the Hugging Face hub, or from a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harmonic.llm import weights
from harmonic.llm.language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(kw_only=True)
class HubModel(LanguageModel):
    """A model that transformers can load by its name.

    path: a hub id ("meta-llama/Llama-2-7b-chat-hf"), or a local folder with safetensors. revision: of the hub's
    repository (None: the newest). attention: transformers' attn_implementation, such as "flash_attention_2" (None: its
    default). trust_remote_code: whether code that comes with the model may run.
    """

    has_files: ClassVar[bool] = True

    path: str
    revision: str | None = None
    attention: str | None = None
    trust_remote_code: bool = False

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return weights.load_weights(self, self.folder), self.tokenizer()

    def folder(self) -> str:
        """The path. If the hub cannot be reached, the local folder that the model was downloaded to."""
        from huggingface_hub import snapshot_download

        if Path(self.path).is_dir() or weights.hub_answers():
            return self.path
        with weights.explain_missing(self.path):
            return snapshot_download(self.path, revision=self.revision, local_files_only=True)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        weights.quiet_libraries()
        path = self.folder()
        with weights.explain_missing(path):
            return AutoTokenizer.from_pretrained(path, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def config(self) -> Any:
        from transformers import AutoConfig

        weights.quiet_libraries()
        path = self.folder()
        with weights.explain_missing(path):
            return AutoConfig.from_pretrained(path, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def options(self) -> dict[str, Any]:
        asked = {"revision": self.revision, "trust_remote_code": self.trust_remote_code}
        return asked | ({"attn_implementation": self.attention} if self.attention else {})
