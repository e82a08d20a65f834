"""Drawing rows from a tuned model: prompts in, exactly n schema-valid rows out (paper, section 3.3).

Work is cut into batches of fixed make-up: round 0 asks every prompt once, in order of length; each further
round asks again the prompts whose answers were no rows, with fresh randomness. Prompt i's draws in round r
depend on (seed, i, r). A finished batch is appended to progress.jsonl, so that a killed run goes on after
its last whole batch and ends with the same table as an unbroken one.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.dialogue import Dialogue, check_lengths
from harmonic.errors import ConfigError, SamplingError
from harmonic.generator import Sample
from harmonic.progress import Progress
from harmonic.prompts import InvalidAnswer, Prompt, parse_row
from harmonic.table import Schema

_UNIFORMS = 5  # first entry of the seed sequence of a prompt's draws
_LARGEST_BATCH = 64  # rows; beyond it a decode step grows with the rows
_MEMORY_SHARE = 0.25  # of the free memory, for the cache of one batch


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of sampling.

    temperature: 0 takes the likeliest token at each step. max_new_tokens (None): a quarter more than the
    longest training answer. batch_tokens: prompt and answer tokens held in the cache at once (None: a
    quarter of the free memory, at most 64 rows). attempts: how often a prompt is asked before sampling
    gives up.
    """

    temperature: float = 0.7
    max_new_tokens: int | None = None
    batch_tokens: int | None = None
    attempts: int = 10

    def check(self) -> None:
        """Raise ConfigError for numbers that cannot be."""
        if self.temperature < 0:
            raise ConfigError("generator.sampling.temperature", self.temperature, "is below 0", "set it to 0.7")
        if self.attempts < 1:
            raise ConfigError("generator.sampling.attempts", self.attempts, "is below 1", "set it to 10")


class Decodes(Protocol):
    """What sampling needs of a decoder: see harmonic.decoding.Decoder."""

    max_new_tokens: int

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None: ...

    def decode(self, prompts: Sequence[Sequence[int]], uniforms: NDArray[np.float64]) -> list[Any]: ...


@dataclass
class Sampler:
    """Asks the model until every prompt has its row."""

    decoder: Decodes
    dialogue: Dialogue
    schema: Schema
    settings: Sampling
    context: int
    bytes_per_token: int

    def sample(self, prompts: Sequence[Prompt], *, seed: int, directory: Path) -> Sample:
        """One row for each prompt, in order.

        Raises SamplingError, with the rejected answers by reason, when a prompt has none after
        `settings.attempts`; the rows there are stay in `directory`/progress.jsonl.
        """
        ids = self.dialogue.prompts([prompt.prompt for prompt in prompts])
        longest = [len(prompt) + self.decoder.max_new_tokens for prompt in ids]
        check_lengths(longest, self.context, what="the sampling prompt number")
        log = ProgressLog(directory / "progress.jsonl")
        rows: dict[int, dict[str, Any]] = {}
        rejected: Counter[str] = Counter()
        asked = 0
        with Progress("sample", len(prompts), "rows") as progress:
            if not log.batches:
                self.decoder.share_prefix(ids)
            prepared = not log.batches
            for attempt in range(self.settings.attempts):
                open_prompts = [index for index in range(len(prompts)) if index not in rows]
                for number, batch in enumerate(self._batches(open_prompts, ids)):
                    done = log.find(attempt, number, batch)
                    if done is None:
                        if not prepared:
                            self.decoder.share_prefix(ids)
                            prepared = True
                        done = self._ask(batch, ids, attempt, seed)
                        log.append(attempt, number, batch, done)
                    asked += len(batch)
                    rows |= done["rows"]
                    rejected.update(done["rejected"])
                    progress.advance(len(done["rows"]), tokens=done["tokens"])
                    progress.note(rejected=sum(rejected.values()))
                if len(rows) == len(prompts):
                    break
        validity = {"raw": len(rows) / asked, "answers": float(asked)}
        validity |= {f"rejected/{reason}": float(count) for reason, count in sorted(rejected.items())}
        if len(rows) < len(prompts):
            raise SamplingError(self._shortfall(len(rows), len(prompts), rejected, log.path))
        frame = pd.DataFrame([rows[index] for index in range(len(prompts))], columns=self.schema.names)
        return Sample(self.schema.conform(frame), validity)

    def _ask(self, batch: list[int], ids: list[list[int]], attempt: int, seed: int) -> dict[str, Any]:
        """Decode one batch and read the answers."""
        draws = [np.random.default_rng([_UNIFORMS, seed, index, attempt]) for index in batch]
        uniforms = np.stack([generator.random(self.decoder.max_new_tokens) for generator in draws])
        rows: dict[int, dict[str, Any]] = {}
        rejected: Counter[str] = Counter()
        decoded = self.decoder.decode([ids[index] for index in batch], uniforms)
        for index, answer in zip(batch, decoded, strict=True):
            try:
                rows[index] = parse_row(self.dialogue.text(answer.ids), self.schema)
            except InvalidAnswer as error:
                rejected[error.reason if answer.finished else "too_long"] += 1
        return {"rows": rows, "rejected": dict(rejected), "tokens": sum(len(answer.ids) for answer in decoded)}

    def _batches(self, indices: list[int], ids: list[list[int]]) -> list[list[int]]:
        """The prompts in batches of like length, each within batch_tokens."""
        budget = self.settings.batch_tokens or self._budget()
        batches: list[list[int]] = []
        for index in sorted(indices, key=lambda index: (-len(ids[index]), index)):
            # The first of a batch is its longest, so it sets what every row of it takes.
            row_tokens = len(ids[batches[-1][0] if batches else index]) + self.decoder.max_new_tokens
            full = not batches or len(batches[-1]) >= min(_LARGEST_BATCH, max(budget // row_tokens, 1))
            batches.append([index]) if full else batches[-1].append(index)
        return batches

    def _budget(self) -> int:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4 * 2**30
        # In steps of 2**14 tokens, so that a little more or less free memory makes the same batches.
        return max(int(free * _MEMORY_SHARE / self.bytes_per_token) >> 14 << 14, 2**14)

    def _shortfall(self, have: int, wanted: int, rejected: Counter[str], path: Path) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
        return (
            f"only {have} of {wanted} rows after {self.settings.attempts} attempts at each prompt; "
            f"rejected answers: {reasons}\n"
            "  fix: tune longer (generator.tuning.epochs, generator.tuning.max_examples), lower "
            "generator.sampling.temperature, or raise generator.sampling.attempts\n"
            f"  the rows so far: {path}"
        )


class ProgressLog:
    """Finished batches, one a line; a line cut off by a kill is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches: dict[tuple[int, int], dict[str, Any]] = {}
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole:
            entry = json.loads(line)
            entry["rows"] = {int(index): row for index, row in entry["rows"].items()}
            self.batches[entry["attempt"], entry["batch"]] = entry
        if len(whole) < len(lines):
            path.write_text("".join(whole), encoding="utf-8")

    def find(self, attempt: int, number: int, prompts: list[int]) -> dict[str, Any] | None:
        """What this batch brought, if it was finished and asked the same prompts."""
        entry = self.batches.get((attempt, number))
        return entry if entry is not None and entry["prompts"] == prompts else None

    def append(self, attempt: int, number: int, prompts: list[int], done: dict[str, Any]) -> None:
        """Write a finished batch, safely on disk before the next one begins."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"attempt": attempt, "batch": number, "prompts": prompts, **done}, ensure_ascii=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
