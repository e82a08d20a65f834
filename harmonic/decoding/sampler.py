"""Rows from a tuned model: prompts in, exactly n schema-valid rows out (paper, section 3.3).

Free decoding lets the model write anything and discards invalid answers. Constrained decoding lets it write only valid
rows. `auto` decodes freely as long as that pays, then constrains the rows that are still missing.

The settings and the prompts alone decide the batches: each round asks for all missing rows, in order of length,
`batch_tokens` at a time (fewer only if the memory is too small, with a warning). The random numbers of a row in a round
depend on (seed, row, round) alone. So the same seed gives the same table on the same machine with the same number of
threads. Other batches, another machine or other threads round differently, which may change rows. Finished batches are
logged (harmonic.decoding.row_collector), so that a killed run continues with the batches that it began with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from harmonic.decoding.batch_log import BatchLog
from harmonic.decoding.memory import warn_of_fewer
from harmonic.decoding.row_collector import LOG, LOG_VERSION, Answers, RowCollector
from harmonic.decoding.settings import Sampling
from harmonic.errors import ConfigError
from harmonic.generators.sample import Sample
from harmonic.progress import Progress
from harmonic.prompts.chat import Chat, check_lengths
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import InvalidAnswer, RowFormat
from harmonic.prompts.stored_prompts import chunks
from harmonic.randomness import derive
from harmonic.storage import canonical
from harmonic.tables.conditions import Condition, Conditions, described
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


@dataclass(slots=True)
class _Asked:
    """The rows of one call, by number: each one's prompt without its text, and the token ids of that text.

    start: the number that the first row has in the whole table.
    """

    prompts: list[Prompt]
    ids: list[list[int]]
    seed: int
    start: int
    prefix_shared: bool = False

    def share_prefix(self, decoder: Decodes) -> None:
        """Once, before the first batch: over all prompts, so that a continued run computes the same numbers."""
        if not self.prefix_shared:
            decoder.share_prefix(self.ids)
            self.prefix_shared = True


@dataclass
class Sampler:
    """Asks the model until every row is there.

    row_format: how rows are written. orders: of a row's columns, if its prompt has none. context: the longest prompt
    with answer, in tokens. conditions: what every row must satisfy. Their columns come first in a drawn order, so that
    the other columns are drawn given them.
    """

    decoder: Decodes
    chat: Chat
    row_format: RowFormat
    settings: Sampling
    orders: ColumnOrders
    context: int
    conditions: Conditions = field(default_factory=dict)
    _constraints: RowConstraints | None = field(default=None, init=False, repr=False)

    def sample(self, prompts: Sequence[Prompt], n: int, *, seed: int, directory: Path, start: int = 0) -> Sample:
        """Exactly n rows, in the order of their prompts, `settings.rows_per_prompt` from each.

        start: the number of the first row in a larger table of which these rows are a part; `prompts` are then those of
        the part. A row's random numbers follow from its number in the whole table.

        Validity: raw (share of valid free answers), answers (all), free and constrained (rows of each way),
        constrained_cut (constrained rows that reached max_new_tokens), rejected/<reason>. Raises ConfigError for too
        few or too long prompts. Raises SamplingError, with the reasons, if a row is missing after all free rounds and
        mode is "reject"; the rows so far stay in `directory`/progress.jsonl.
        """
        self.settings.check()
        asked = self._asked(prompts, n, seed, start)
        facts = {"batch_tokens": self.decoder.budget()}
        log = BatchLog(directory / LOG, self._identity(asked, n), facts)
        warn_of_fewer(log.facts["batch_tokens"], self.settings.batch_tokens)
        ways: Counter[str] = Counter()
        with Progress("sample", n, "rows") as progress:
            rows = RowCollector(n, log, progress)
            for way, attempt in self._rounds():
                if way == "free" and attempt and self.settings.mode == "auto" and not rows.rows:
                    continue  # the model writes no valid rows: constrain it at once
                self._round(way, attempt, asked, rows, ways)
                if rows.complete:
                    break
        if not rows.complete:
            raise self._shortfall(rows)
        return Sample(self.schema.conform(rows.frame(self.schema.names)), _validity(rows, ways))

    @property
    def schema(self) -> Schema:
        """The columns as prompts show them."""
        return self.row_format.schema

    def order(self, prompt: Prompt, draw: np.random.Generator) -> list[str]:
        """The columns of one row, in order: the prompt's order, or a drawn one for a constrained row."""
        names = self.schema.names
        if prompt.order is not None:
            return [names[place] for place in prompt.order]
        drawn = [names[place] for place in self.orders.one(draw)]
        if self.orders.permutation == "none":
            return drawn
        return sorted(drawn, key=lambda name: name not in self.conditions)

    def constraints(self, document: bool) -> RowConstraints:
        """Makes the constraint of each row."""
        from harmonic.decoding.constraints import RowConstraints

        if self._constraints is None:
            end = self.chat.ends(document)
            self._constraints = RowConstraints(self.row_format, self.chat.tokenizer, end, self.conditions)
        return self._constraints

    def batches(self, rows: Sequence[int], prompts: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
        """The rows in batches of similar prompt length, each within `budget` tokens."""
        batches: list[list[int]] = []
        largest = 0
        for row in sorted(rows, key=lambda row: (-len(prompts[row]), row)):
            if not batches or len(batches[-1]) >= largest:
                # The first row of a batch is its longest, so it decides what every row takes.
                fitting = max(budget // (len(prompts[row]) + self.decoder.max_new_tokens), 1)
                largest = min(self.decoder.largest_batch, fitting)
                batches.append([])
            batches[-1].append(row)
        return batches

    def _asked(self, prompts: Sequence[Prompt], n: int, seed: int, start: int) -> _Asked:
        """The prompt of each row. Raises ConfigError for too few or too long prompts."""
        places = [self.settings.prompt_of(start + row) - self.settings.prompt_of(start) for row in range(n)]
        needed = places[-1] + 1
        if len(prompts) < needed:
            problem = f"needs {needed} prompts, there are {len(prompts)}"
            raise ConfigError("n_samples", n, problem, "write the prompts again: force=true")
        bare: list[Prompt] = []
        ids: list[list[int]] = []
        for some in chunks(islice(prompts, needed)):  # the texts of all of them would take far more memory
            bare += [prompt._replace(parts=()) for prompt in some]
            ids += [tokens for tokens, _ in self.chat.encode(some)]
        room = self.decoder.max_new_tokens
        check_lengths([len(prompt) + room for prompt in ids], self.context, what="the sampling prompt number")
        return _Asked([bare[place] for place in places], [ids[place] for place in places], seed, start)

    def _rounds(self) -> list[tuple[str, int]]:
        """The way and number of each round: free ones, then a constrained one unless mode is "reject"."""
        free = [("free", attempt) for attempt in range(self.settings.free_rounds)]
        return free if self.settings.mode == "reject" else [*free, ("constrained", 0)]

    def _round(self, way: str, attempt: int, asked: _Asked, rows: RowCollector, ways: Counter[str]) -> None:
        """Ask once for every missing row, and count in `ways` what came by this way."""
        missing = [row for row in range(rows.n) if row not in rows.rows]
        draw = partial(self._free, attempt=attempt) if way == "free" else self._constrained
        for number, batch in enumerate(self.batches(missing, asked.ids, int(rows.log.facts["batch_tokens"]))):
            answers = rows.batch(f"{way} {attempt} {number}", batch, partial(draw, asked, batch))
            ways.update({way: len(answers.rows), f"{way} asked": len(batch), "cut": answers.cut})

    def _free(self, asked: _Asked, batch: list[int], *, attempt: int) -> Answers:
        draws = [np.random.default_rng(derive(asked.seed, "free answer", asked.start + row, attempt)) for row in batch]
        asked.share_prefix(self.decoder)
        decoded = self.decoder.free([asked.ids[row] for row in batch], draws)
        found = Answers(tokens=sum(len(answer.ids) for answer in decoded))
        for number, draw, answer in zip(batch, draws, decoded, strict=True):
            try:
                order = self.order(asked.prompts[number], draw)
                row = self.row_format.parse(self.chat.text(answer.ids), order)
            except InvalidAnswer as error:
                found.rejected[(error.reason, error.column) if answer.finished else ("too_long", "")] += 1
                continue
            held = self._held(asked.prompts[number])
            if broken := [name for name, condition in held.items() if not condition.fits(row[name])]:
                found.rejected["condition", broken[0]] += 1
            else:
                found.rows[number] = row
        return found

    def _constrained(self, asked: _Asked, batch: list[int]) -> Answers:
        draws = [np.random.default_rng(derive(asked.seed, "constrained answer", asked.start + row)) for row in batch]
        orders = [self.order(asked.prompts[row], draw) for row, draw in zip(batch, draws, strict=True)]
        constraints = self.constraints(asked.prompts[batch[0]].document)
        asked.share_prefix(self.decoder)
        started = [
            constraints.start(order, self._held(asked.prompts[row])) for row, order in zip(batch, orders, strict=True)
        ]
        decoded = self.decoder.constrained([asked.ids[row] for row in batch], draws, started)
        rows = {
            row: self.row_format.parse(self.chat.text(answer.ids), order)
            for row, order, answer in zip(batch, orders, decoded, strict=True)
        }
        tokens, cut = sum(len(answer.ids) for answer in decoded), sum(not answer.finished for answer in decoded)
        return Answers(rows, tokens=tokens, cut=cut)

    def _held(self, prompt: Prompt) -> Conditions:
        """The conditions on a prompt's rows: those on all rows, and the label that the prompt says."""
        if prompt.label is None:
            return self.conditions
        column = self.schema[self.schema.target]
        label, given = column.parse(prompt.label), self.conditions.get(column.name)
        if given is not None and not given.fits(label):  # no training row satisfies the conditions
            return self.conditions
        return {**self.conditions, column.name: Condition(column=column, values=(label,))}

    def _identity(self, asked: _Asked, n: int) -> str:
        """A hash of all that the rows depend on, except the model, which the folder is for."""
        settings = {**asdict(self.settings), "orders": asdict(self.orders), "room": self.decoder.max_new_tokens}
        settings |= {"format": type(self.row_format).__name__, "log": LOG_VERSION}
        text = canonical({"prompts": asked.ids, "n": n, "seed": asked.seed, "settings": settings}) + repr(self.schema)
        text += repr(dict(self.conditions)) if self.conditions else ""
        text += f"from {asked.start}" if asked.start else ""
        text += repr(labels) if any(labels := [prompt.label for prompt in asked.prompts]) else ""
        return sha256(text.encode()).hexdigest()[:16]

    def _shortfall(self, rows: RowCollector) -> Exception:
        fix = (
            "tune longer (generator.tuning.epochs, generator.tuning.max_examples), lower "
            "generator.sampling.temperature, raise generator.sampling.attempts, or set generator.sampling.mode=auto"
        )
        condition = f" with {described(self.conditions)}" if self.conditions else ""
        why = f"{self.settings.free_rounds} attempts at each row"
        return rows.shortfall(why, fix, rows.log.path, condition=condition)


def _validity(rows: RowCollector, ways: Counter[str]) -> dict[str, float]:
    """The counts, as `Sampler.sample` names them."""
    free, asked = ways["free"], ways["free asked"]
    found: dict[str, float] = {"raw": free / asked} if asked else {}
    found |= {"answers": float(rows.answers), "free": float(free), "constrained": float(ways["constrained"])}
    return found | {"constrained_cut": float(ways["cut"])} | rows.rejections()
