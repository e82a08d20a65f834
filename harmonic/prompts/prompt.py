"""A prompt with its parts: what is shown, what is learnt, which rows these are, in which order of columns.

On disk a prompt is one line of JSON. "prompt" and "completion" are its text, up to the first part that is learnt and
from there on; "parts" cuts that text again: [characters, learnt, row, order], where `order` counts in "orders".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from harmonic.errors import DataError

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode

Order = tuple[int, ...]
"""Columns in the order in which a row is written: their positions in the schema."""


class Part(NamedTuple):
    """A piece of a prompt's text.

    learnt: whether its tokens have a part in the loss. row: the position in the training table of the row that it
    writes; None: it writes none, or one that stands in no table. order: of that row's columns; None: the schema's.
    """

    text: str
    learnt: bool = False
    row: int | None = None
    order: Order | None = None


class Prompt(NamedTuple):
    """What the model reads, and in tuning what it learns to say.

    order: of the columns in the row that is to be drawn; None: the sampler draws one. document: the parts are a plain
    text, a line each, rather than the turns of a chat. center: of a list of neighbours the row that it was made around.
    label: the text of the target in the rows that are to be drawn; None: the model decides.
    """

    parts: tuple[Part, ...]
    order: Order | None = None
    document: bool = False
    center: int | None = None
    label: str | None = None

    @property
    def prompt(self) -> str:
        """The text before the first part that is learnt."""
        return "".join(part.text for part in takewhile(lambda part: not part.learnt, self.parts))

    @property
    def completion(self) -> str:
        """The text from the first part that is learnt; "" in a sampling prompt."""
        return "".join(part.text for part in self.parts)[len(self.prompt) :]

    @property
    def rows(self) -> tuple[int, ...]:
        """The training rows that are shown and not learnt, in order."""
        return tuple(part.row for part in self.parts if part.row is not None and not part.learnt)

    @property
    def learnt_rows(self) -> tuple[int, ...]:
        """The training rows that are learnt, in order."""
        return tuple(part.row for part in self.parts if part.row is not None and part.learnt)


def asked(prompt: str, completion: str = "", rows: Iterable[int] = ()) -> Prompt:
    """A prompt of two texts, as the published files have it. `rows`: the training rows that it shows."""
    shown = tuple(Part("", row=row) for row in rows)
    return Prompt((Part(prompt), *shown, *((Part(completion, learnt=True),) if completion else ())))


def write_prompts(prompts: Iterable[Prompt], path: Path) -> None:
    """One prompt a line, UTF-8. The file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for prompt in prompts:
            file.write(_ENCODE(_plain(prompt)) + "\n")
    os.replace(partial, path)


def read_prompts(path: Path) -> list[Prompt]:
    """The inverse of `write_prompts`; "prompt" and "completion" suffice. Raises DataError naming the line."""
    prompts = []
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                prompts.append(_read(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                problem = f"{path}, line {number} is not a prompt: {error!r}"
                raise DataError(f"{problem}\n  fix: remove the file, and it is written anew") from error
    return prompts


def _plain(prompt: Prompt) -> dict[str, Any]:
    orders: dict[Order, int] = {}
    if prompt.order is not None:
        orders[prompt.order] = 0
    cut = [
        [len(text), int(learnt), row, None if order is None else orders.setdefault(order, len(orders))]
        for text, learnt, row, order in prompt.parts
    ]
    return {
        "prompt": prompt.prompt, "completion": prompt.completion, "rows": prompt.rows, "parts": cut,
        "orders": list(orders), "order": None if prompt.order is None else 0, "document": prompt.document,
        "center": prompt.center, "label": prompt.label,
    }  # fmt: skip


def _read(plain: dict[str, Any]) -> Prompt:
    prompt, completion = plain["prompt"], plain["completion"]
    if not (isinstance(prompt, str) and isinstance(completion, str)):
        raise TypeError('"prompt" and "completion" are not texts')
    if "parts" not in plain:
        return asked(prompt, completion, plain.get("rows", ()))
    orders = [tuple(order) for order in plain["orders"]]
    text, start = prompt + completion, 0
    parts = []
    for length, learnt, row, order in plain["parts"]:
        piece = text[start : start + length]
        parts.append(Part(piece, bool(learnt), row, None if order is None else orders[order]))
        start += length
    if start != len(text):
        raise ValueError(f"the parts have {start} characters, the text has {len(text)}")
    order = None if plain["order"] is None else orders[plain["order"]]
    return Prompt(tuple(parts), order, bool(plain["document"]), plain.get("center"), plain.get("label"))
