"""A prompt with its parts: what is shown, what is learnt, from which rows, and in which order of columns.

On disk a prompt is one line of JSON. "prompt" is its text before the first learnt part, "completion" the rest. "parts"
divides that text: [characters, learnt, row, order], where `order` is a position in "orders".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NamedTuple

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode

Order = tuple[int, ...]
"""The columns of a written row, in order: their positions in the schema."""


class Part(NamedTuple):
    """A piece of a prompt's text.

    learnt: whether its tokens count in the loss. row: the position in the training table of the row that it contains;
    None if it contains none, or a row of no table. order: of that row's columns; None: that of the schema.
    """

    text: str
    learnt: bool = False
    row: int | None = None
    order: Order | None = None


class Prompt(NamedTuple):
    """What the model reads, and in tuning what it learns to write.

    order: of the columns in the row to draw; None: the sampler draws one. document: the parts are the lines of a plain
    text, not the turns of a chat. center: the row around which a list of neighbours was made. label: the text of the
    target in the rows to draw; None: the model decides.
    """

    parts: tuple[Part, ...]
    order: Order | None = None
    document: bool = False
    center: int | None = None
    label: str | None = None

    @property
    def prompt(self) -> str:
        """The text before the first learnt part."""
        return "".join(part.text for part in takewhile(lambda part: not part.learnt, self.parts))

    @property
    def completion(self) -> str:
        """The text from the first learnt part on; "" in a sampling prompt."""
        return "".join(part.text for part in self.parts)[len(self.prompt) :]

    @property
    def rows(self) -> tuple[int, ...]:
        """The training rows that are shown and not learnt, in order."""
        return tuple(part.row for part in self.parts if part.row is not None and not part.learnt)

    @property
    def learnt_rows(self) -> tuple[int, ...]:
        """The training rows that are learnt, in order."""
        return tuple(part.row for part in self.parts if part.row is not None and part.learnt)

    @property
    def drawn_rows(self) -> tuple[int, ...]:
        """The rows that a tuning prompt was made for: they were drawn at random from the training rows."""
        return self.learnt_rows if self.center is None else (self.center,)


def asked(prompt: str, completion: str = "", rows: Iterable[int] = ()) -> Prompt:
    """A prompt of two texts, as in the published files. rows: the training rows that it shows."""
    shown = tuple(Part("", row=row) for row in rows)
    return Prompt((Part(prompt), *shown, *((Part(completion, learnt=True),) if completion else ())))


def line_of(prompt: Prompt) -> str:
    """The prompt as one line of JSON, with its line break."""
    return _ENCODE(_plain(prompt)) + "\n"


def prompt_of(line: str | bytes) -> Prompt:
    """The inverse of `line_of`; "prompt" and "completion" are enough.

    Raises ValueError, KeyError, TypeError, AttributeError or IndexError for a line that is no prompt.
    """
    return _read(json.loads(line))


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
