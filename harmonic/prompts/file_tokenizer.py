"""A model's tokenizer read from its files, to count tokens without transformers, which takes seconds to import.

It offers what harmonic.prompts.chat needs of a tokenizer, with the same results (a test compares both).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any


class FileTokenizer:
    """The tokenizer in a model's folder. Raises OSError, KeyError or ValueError if its files are not as expected."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._core = Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        template = folder / "chat_template.jinja"
        self.chat_template = (
            template.read_text(encoding="utf-8") if template.is_file() else settings.get("chat_template")
        )
        if not isinstance(self.chat_template, str | None):
            raise ValueError("several chat templates")
        self.bos_token, self.eos_token = (_text(settings.get(name)) for name in ("bos_token", "eos_token"))
        self.add_bos_token = bool(settings.get("add_bos_token", False))
        self.added_tokens_decoder = self._core.get_added_tokens_decoder()
        self.all_special_ids = [number for number, token in self.added_tokens_decoder.items() if token.special]
        self.bos_token_id, self.eos_token_id = (
            self._core.token_to_id(token) if token else None for token in (self.bos_token, self.eos_token)
        )

    def __call__(
        self, texts: Sequence[str], *, add_special_tokens: bool, split_special_tokens: bool = False
    ) -> dict[str, list[list[int]]]:
        """{"input_ids": the ids of each text}."""
        self._core.encode_special_tokens = split_special_tokens
        found = self._core.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
        return {"input_ids": [encoding.ids for encoding in found]}

    def apply_chat_template(self, turns: Sequence[dict[str, str]], *, tokenize: bool) -> str:
        """The turns as the model's template writes them. Raises ValueError if the template refuses them."""
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: str) -> None:
            raise ValueError(message)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals |= {"raise_exception": refuse, "strftime_now": lambda style: datetime.now().strftime(style)}
        given: dict[str, Any] = {"messages": turns, "add_generation_prompt": False}
        given |= {"bos_token": self.bos_token, "eos_token": self.eos_token}
        try:
            return str(environment.from_string(self.chat_template or "").render(**given))
        except TemplateError as error:
            raise ValueError(str(error)) from error


def _text(token: Any) -> str | None:
    """The text of a special token, which some files put into a mapping."""
    return token["content"] if isinstance(token, dict) else token
