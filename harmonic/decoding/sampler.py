"""Drawing rows from a tuned model: prompts in, exactly n schema-valid rows out (paper, section 3.3).

Free decoding lets the model write and discards invalid answers; constrained decoding lets it write nothing
but rows. `auto` does the first for as long as it pays and the second for what is left.

Work is cut into batches by the settings and the prompts alone: each round asks, in order of length, for all rows that
are still missing, `batch_tokens` at a time (fewer only where the memory does not hold them, with a warning). A row's
random numbers in a round depend on (seed, row, round) alone. So the same seed gives the same table on the same machine
with as many threads; other batches, another machine or other threads round differently, which may change rows. A
finished batch is appended to progress.jsonl, so that a killed run goes on after its last whole batch, with the batches
that it began with, and ends with the same table as an unbroken one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from harmonic.decoding.batch_log import BatchLog
from harmonic.decoding.memory import warn_of_fewer
from harmonic.decoding.settings import Sampling
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.sample import Sample
from harmonic.progress import Progress
from harmonic.prompts.chat import Chat, check_lengths
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import InvalidAnswer, RowFormat
from harmonic.randomness import derive
from harmonic.storage import canonical
from harmonic.tables.conditions import Conditions, described
from harmonic.tables.table import Schema

if TYPE_CHECKING:
    from harmonic.decoding.constraints import RowConstraint, RowConstraints


class Decodes(Protocol):
    """What sampling needs of a decoder: see harmonic.decoding.decoder.Decoder."""

    max_new_tokens: int

    @property
    def largest_batch(self) -> int: ...  # rows

    def budget(self) -> int: ...

    def close(self) -> None: ...

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None: ...

    def free(self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator]) -> list[Any]: ...

    def constrained(
        self,
        prompts: Sequence[Sequence[int]],
        draws: Sequence[np.random.Generator],
        constraints: Sequence[RowConstraint],
    ) -> list[Any]: ...


@dataclass
class Sampler:
    """Asks the model until every row is there.

    form: how rows are written. orders: of a row's columns, where its prompt has none. context: the longest prompt
    with answer, tokens. conditions: what every row must satisfy; their columns come first in an order that is drawn,
    so that the others are drawn given them.
    """

    decoder: Decodes
    chat: Chat
    form: RowFormat
    settings: Sampling
    orders: ColumnOrders
    context: int
    conditions: Conditions = field(default_factory=dict)
    _constraints: RowConstraints | None = field(default=None, init=False, repr=False)

    def sample(self, prompts: Sequence[Prompt], n: int, *, seed: int, directory: Path) -> Sample:
        """Exactly n rows, in the order of their prompts, `settings.rows_per_prompt` from each.

        Validity: raw (accepted share of the free answers), answers (asked in all), free and constrained (rows
        by each way), constrained_cut (those of the latter that ran into max_new_tokens), rejected/<reason>.
        Raises SamplingError, with the reasons, when free rounds are all there is and a row is missing; the
        rows there are stay in `directory`/progress.jsonl. Raises ConfigError for prompts too few or too long.
        """
        self.settings.check()
        needed = self.settings.prompts_needed(n)
        if len(prompts) < needed:
            raise ConfigError("n_samples", n, f"needs {needed} prompts, there are {len(prompts)}", "prepare anew")
        ids = [ids for ids, _ in self.chat.encode(prompts[:needed])]
        room = self.decoder.max_new_tokens
        check_lengths([len(prompt) + room for prompt in ids], self.context, what="the sampling prompt number")
        log = BatchLog(
            directory / "progress.jsonl", self._identity(ids, n, seed), {"batch_tokens": self.decoder.budget()}
        )
        warn_of_fewer(log.facts["batch_tokens"], self.settings.batch_tokens)
        own = [prompts[self.settings.prompt_of(row)] for row in range(n)]
        work = _Work(self, [ids[self.settings.prompt_of(row)] for row in range(n)], own, seed, log)
        rounds = [*range(self.settings.free_rounds), *([] if self.settings.mode == "reject" else [None])]
        with Progress("sample", n, "rows") as progress:
            for attempt in rounds:
                hopeless = attempt and not work.rows and self.settings.mode == "auto"
                if not hopeless:  # or the constrained round comes at once
                    work.round(attempt, progress)
                if len(work.rows) == n:
                    break
        if len(work.rows) < n:
            raise SamplingError(self._shortfall(len(work.rows), n, work.rejected, log.path))
        frame = pd.DataFrame([work.rows[row] for row in range(n)], columns=self.schema.names)
        return Sample(self.schema.conform(frame), work.validity())

    @property
    def schema(self) -> Schema:
        """The columns as prompts show them."""
        return self.form.schema

    def order(self, prompt: Prompt, draw: np.random.Generator) -> list[str]:
        """The columns of one row, in order: the prompt's, or one that is drawn for a constrained row."""
        names = self.schema.names
        if prompt.order is not None:
            return [names[place] for place in prompt.order]
        drawn = [names[place] for place in self.orders.one(draw)]
        if self.orders.permutation == "none":
            return drawn
        return sorted(drawn, key=lambda name: name not in self.conditions)

    def constraints(self, document: bool) -> RowConstraints:
        """What makes a row's constraint."""
        from harmonic.decoding.constraints import RowConstraints

        if self._constraints is None:
            end = self.chat.ends(document)
            self._constraints = RowConstraints(self.form, self.chat.tokenizer, end, self.conditions)
        return self._constraints

    def batches(self, rows: Sequence[int], prompts: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
        """The rows in batches of like prompt length, each within `budget` tokens."""
        batches: list[list[int]] = []
        largest = 0
        for row in sorted(rows, key=lambda row: (-len(prompts[row]), row)):
            if not batches or len(batches[-1]) >= largest:
                # The first of a batch is its longest, so it sets what every row of it takes.
                fitting = max(budget // (len(prompts[row]) + self.decoder.max_new_tokens), 1)
                largest = min(self.decoder.largest_batch, fitting)
                batches.append([])
            batches[-1].append(row)
        return batches

    def _identity(self, ids: list[list[int]], n: int, seed: int) -> str:
        """A hash of all that the rows depend on, but for the model: the folder stands for that."""
        settings = {**asdict(self.settings), "orders": asdict(self.orders), "room": self.decoder.max_new_tokens}
        settings["format"] = type(self.form).__name__
        text = canonical({"prompts": ids, "n": n, "seed": seed, "settings": settings}) + repr(self.schema)
        text += repr(dict(self.conditions)) if self.conditions else ""
        return sha256(text.encode()).hexdigest()[:16]

    def _shortfall(self, have: int, wanted: int, rejected: Counter[str], path: Path) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
        held = f" with {described(self.conditions)}" if self.conditions else ""
        return (
            f"only {have} of {wanted} rows{held} after {self.settings.free_rounds} attempts at each; "
            f"rejected answers: {reasons}\n"
            "  fix: tune longer (generator.tuning.epochs, generator.tuning.max_examples), lower "
            "generator.sampling.temperature, raise generator.sampling.attempts, or set generator.sampling.mode=auto\n"
            f"  the rows so far: {path}"
        )


class _Work:
    """The rows of one `Sampler.sample` as they come in."""

    def __init__(
        self, sampler: Sampler, prompts: list[list[int]], asked: list[Prompt], seed: int, log: BatchLog
    ) -> None:
        self.sampler, self.prompts, self.asked, self.seed, self.log = sampler, prompts, asked, seed, log
        self.rows: dict[int, dict[str, Any]] = {}
        self.rejected: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.ready = False

    def round(self, attempt: int | None, progress: Progress) -> None:
        """Ask once for every missing row: freely, or constrained if `attempt` is None."""
        missing = [row for row in range(len(self.prompts)) if row not in self.rows]
        way = "constrained" if attempt is None else "free"
        budget = int(self.log.facts["batch_tokens"])
        for number, batch in enumerate(self.sampler.batches(missing, self.prompts, budget)):
            name = f"{way} {attempt or 0} {number}"
            done = self.log.find(name, batch)
            if done is None:
                self._prepare()
                done = self._constrained(batch) if attempt is None else self._free(batch, attempt)
                self.log.append(name, batch, done)
            self.rows |= {int(row): values for row, values in done["rows"].items()}
            self.rejected.update(done["rejected"])
            self.counts.update({way: len(done["rows"]), f"{way} asked": len(batch), "cut": done.get("cut", 0)})
            progress.advance(len(done["rows"]), tokens=done["tokens"])
            progress.note(rejected=sum(self.rejected.values()))

    def validity(self) -> dict[str, float]:
        """The counts, as `Sampler.sample` names them."""
        free, asked = self.counts["free"], self.counts["free asked"]
        found: dict[str, float] = {"raw": free / asked} if asked else {}
        found |= {"answers": asked + self.counts["constrained asked"], "free": free}
        found |= {"constrained": self.counts["constrained"], "constrained_cut": self.counts["cut"]}
        found |= {f"rejected/{reason}": count for reason, count in sorted(self.rejected.items())}
        return {name: float(value) for name, value in found.items()}

    def _prepare(self) -> None:
        """Before the first batch, also of a run taken up again: over all prompts, so that the numbers are the same."""
        if not self.ready:
            self.sampler.decoder.share_prefix(self.prompts)
            self.ready = True

    def _free(self, batch: list[int], attempt: int) -> dict[str, Any]:
        draws = [np.random.default_rng(derive(self.seed, "free answer", row, attempt)) for row in batch]
        rows: dict[int, dict[str, Any]] = {}
        rejected: Counter[str] = Counter()
        decoded = self.sampler.decoder.free([self.prompts[row] for row in batch], draws)
        for row, draw, answer in zip(batch, draws, decoded, strict=True):
            try:
                order = self.sampler.order(self.asked[row], draw)
                found = self.sampler.form.parse(self.sampler.chat.text(answer.ids), order)
            except InvalidAnswer as error:
                rejected[error.reason if answer.finished else "too_long"] += 1
                continue
            if all(condition.fits(found[name]) for name, condition in self.sampler.conditions.items()):
                rows[row] = found
            else:
                rejected["condition"] += 1
        return {"rows": rows, "rejected": dict(rejected), "tokens": sum(len(answer.ids) for answer in decoded)}

    def _constrained(self, batch: list[int]) -> dict[str, Any]:
        sampler = self.sampler
        draws = [np.random.default_rng(derive(self.seed, "constrained answer", row)) for row in batch]
        orders = [sampler.order(self.asked[row], draw) for row, draw in zip(batch, draws, strict=True)]
        made = sampler.constraints(self.asked[batch[0]].document)
        constraints = [made.start(order) for order in orders]
        decoded = sampler.decoder.constrained([self.prompts[row] for row in batch], draws, constraints)
        rows = {
            row: sampler.form.parse(sampler.chat.text(answer.ids), order)
            for row, order, answer in zip(batch, orders, decoded, strict=True)
        }
        return {
            "rows": rows,
            "rejected": {},
            "cut": sum(not answer.finished for answer in decoded),
            "tokens": sum(len(answer.ids) for answer in decoded),
        }
