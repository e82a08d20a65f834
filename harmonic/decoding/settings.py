"""How rows are drawn: the fields of generator.sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harmonic.errors import ConfigError
from harmonic.prompts.contexts import Context
from harmonic.settings import Count, NotNegative, check_fields

Mode = Literal["auto", "reject", "constrained"]
Backend = Literal["torch", "vllm"]

BATCH_TOKENS = 2**15
_ATTEMPTS = {"auto": 2, "reject": 10, "constrained": 0}


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of sampling.

    temperature: 0 takes the likeliest token at each step. mode: "reject" draws freely and asks again for invalid rows;
    "constrained" allows only valid rows; "auto" draws freely `attempts` times (once, if that gives no valid row at all)
    and constrains the rows that are still missing. attempts: how often a row is drawn freely (None: 2 in auto, 10 in
    reject). max_new_tokens: the longest answer (None: a quarter more than the longest one in training).
    context: the rows that prompts show (harmonic.prompts.contexts): "random" rows, "neighbors" of a row that is left
    out, "synthetic" rows (neighbours among rows drawn before; `first_round` says how those are drawn), or "none".
    label: "drawn" by the model, or that of the "center", the row whose neighbours are shown. shown: how many rows a
    prompt shows (None: as many as a tuning prompt, which is also the most). pool: how many nearest rows the shown
    neighbours are drawn from (None: the nearest rows are shown).
    batch_tokens: prompt and answer tokens in the cache at once, for at most 64 rows. Another number makes other
    batches, and rounding may then change rows (harmonic.decoding.decoder). rows_per_prompt: rows drawn from each
    prompt, which is read once for all of them. backend: "torch" (harmonic.decoding.decoder) or "vllm"
    (harmonic.decoding.vllm_decoder).
    """

    temperature: NotNegative = 0.7
    mode: Mode = "auto"
    attempts: Count | None = None
    max_new_tokens: Count | None = None
    batch_tokens: Count = BATCH_TOKENS
    context: Context = "random"
    label: Literal["drawn", "center"] = "drawn"
    first_round: Context = "neighbors"
    shown: Count | None = None
    pool: Count | None = None
    rows_per_prompt: Count = 1
    backend: Backend = "torch"

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        key = "generator.sampling"
        check_fields(self, key)
        if self.first_round == "synthetic":
            fix = f"{key}.first_round=neighbors"
            raise ConfigError(
                f"{key}.first_round", self.first_round, "there are no synthetic rows yet in the first round", fix
            )

    @property
    def free_rounds(self) -> int:
        """How often a row is drawn freely."""
        return _ATTEMPTS[self.mode] if self.attempts is None or self.mode == "constrained" else self.attempts

    @property
    def first_context(self) -> Context:
        """What the prompts of the first or only round show."""
        return self.first_round if self.context == "synthetic" else self.context

    def rows_shown(self, k: int) -> int:
        """How many rows a sampling prompt shows, if tuning prompts show k."""
        return min(self.shown or k, k)

    def prompts_needed(self, n: int) -> int:
        """How many prompts n rows need."""
        return -(-n // self.rows_per_prompt)

    def prompt_of(self, row: int) -> int:
        """The number of the prompt that a row comes from, however often it is drawn."""
        return row // self.rows_per_prompt
