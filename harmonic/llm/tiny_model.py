"""A language model for tests: random weights, one token per byte, no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harmonic.llm.language_model import LanguageModel
from harmonic.randomness import seeded
from harmonic.settings import Count, Natural, Positive

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(kw_only=True)
class TinyModel(LanguageModel):
    """A Llama with random weights and a byte-level tokenizer, made in this process.

    embedding_factor: how much larger than usual the embeddings are. They are also the output layer. With 10, an adapter
    learns in a few steps, because the logits depend more on the input.
    """

    hidden_size: Count = 32
    layers: Count = 2
    heads: Count = 4
    key_value_heads: Count = 2
    positions: Count = 8192
    weights_seed: Natural = 0
    embedding_factor: Positive = 1.0

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        import torch
        from transformers import LlamaForCausalLM

        device, dtype = self.resolved_device(), self.resolved_dtype()
        with seeded(self.weights_seed):
            model = LlamaForCausalLM(self.config())
        with torch.no_grad():
            model.model.embed_tokens.weight.mul_(self.embedding_factor)
        return model.to(device, dtype).eval(), self.tokenizer()

    def config(self) -> Any:
        from transformers import LlamaConfig

        tokenizer = self.tokenizer()
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            intermediate_size=2 * self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            max_position_embeddings=self.positions,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,  # or the end token's embedding would be 0, and the model could not learn to end
        )

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        specials = ["<|im_start|>", "<|im_end|>"]
        vocabulary = {token: index for index, token in enumerate([*alphabet, *specials])}
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        core.decoder = decoders.ByteLevel()
        core.add_special_tokens(specials)
        return PreTrainedTokenizerFast(
            tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=_CHAT_TEMPLATE
        )


_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
