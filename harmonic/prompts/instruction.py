"""The text around the rows: the paper's instruction, with a row as its answer, or a list of rows.

    Here are 5 tabular data about diabetic patients, each containing 8 columns of features and 1 column
    of labels, where the Outcome column is a binary classification label. I will transmit the data to you
    in JSON format. Please generate an approximate sample based on these 5 examples.
    Example one: {"Pregnancies": "10.0", "Glucose": "68.0", …, "Outcome": "0"}
    …
    Generate one sample: {"Pregnancies": "8.0", "Glucose": "74.0", …, "Outcome": "0"}

A list of rows is a plain text. Its rows are neighbours of each other, in random order, and each is learnt given the
rows above it:

    Rows about diabetic patients.
    Glucose|Outcome|Age|BMI|…
    31|0|07|44|…
    …
"""

from __future__ import annotations

from collections.abc import Sequence

from harmonic.prompts.prompt import Order, Part, Prompt
from harmonic.prompts.row_format import RowFormat

_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()


def instruction(row_format: RowFormat, k: int, order: Sequence[str]) -> tuple[str, list[str], str]:
    """The fixed parts of a prompt with k examples: the head, the words before each example, and the tail.

    The wording is that of the published data. Without examples, it asks for a row of the table.
    """
    schema = row_format.schema
    columns = f"{len(schema.features)} columns of features"
    if schema.has_target:
        columns += f" and 1 column of labels, where the {schema.target} column is a {schema.task.value} label"
    if not k:
        written = row_format.described(order)
        head = f"Rows about {schema.description} contain {columns}. Please generate a sample in {written}."
        return head, [], "\nGenerate one sample: "
    head = (
        f"Here are {k} tabular data about {schema.description}, each containing {columns}. "
        f"I will transmit the data to you in {row_format.described(order)}. "
        f"Please generate an approximate sample based on these {k} examples."
    )
    numbers = [*_WORDS[:k], *map(str, range(len(_WORDS) + 1, k + 1))]
    return head, [f"\nExample {number}: " for number in numbers], "\nGenerate one sample: "


Shown = Sequence[tuple[str, int | None, Order | None]]
"""Rows in a prompt: the text of each, its position in the training table, and the order of its columns."""


def question(
    row_format: RowFormat, shown: Shown, answer: tuple[str, int | None, Order | None] | None, order: Order | None
) -> Prompt:
    """The instruction with these rows as examples, and a row as the answer (None in sampling)."""
    names = row_format.schema.names
    named = names if order is None else [names[place] for place in order]
    head, before, tail = instruction(row_format, len(shown), named)
    parts = [Part(head)]
    parts += [Part(lead + text, False, row, own) for lead, (text, row, own) in zip(before, shown, strict=True)]
    parts.append(Part(tail))
    if answer is not None:
        parts.append(Part(answer[0], True, *answer[1:]))
    return Prompt(tuple(parts), order)


def row_list(row_format: RowFormat, shown: Shown, learnt: Shown, order: Order) -> Prompt:
    """A list of rows: first the shown ones, then the learnt ones, all with their columns in `order`.

    A row's text ends with its line break, which also ends it in decoding.
    """
    names = row_format.schema.names
    head = f"Rows about {row_format.schema.description}.\n" + row_format.header([names[place] for place in order])
    parts = [Part(head)]
    parts += [Part(text + "\n", False, row, own) for text, row, own in shown]
    parts += [Part(text + "\n", True, row, own) for text, row, own in learnt]
    return Prompt(tuple(parts), order, document=True)
