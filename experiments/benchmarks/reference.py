"""The plain procedure with which `instruction_set` is compared: row by row, with pandas and scikit-learn.

It does what a simple script for the paper's section 3.1 does, similar to the published one: encode the columns, fit
scikit-learn's NearestNeighbors, then for each row find its neighbours, go over them with `iterrows` and write each with
`json.dumps`. No permutation. Its filter keeps every class, as ours does, so that both make the same prompts.
"""

from __future__ import annotations

import json
import time

import pandas as pd

NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def plain_tuning_set(
    frame: pd.DataFrame, *, target: str, task: str, description: str, k: int, threshold: int, limit: int, filter: bool
) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """(prompt, answer) of the first `limit` rows without those that are filtered out, and the seconds.

    `frame` is what `pandas.read_csv` returns, with the target last. The seconds are {"fit": once for the table, "rows":
    proportional to the rows}.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import LabelEncoder, MinMaxScaler

    started = time.perf_counter()
    encoded = frame.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            encoded[name] = LabelEncoder().fit_transform(frame[name])
        elif name != target:
            encoded[name] = MinMaxScaler().fit_transform(frame[[name]])[:, 0]
    search = NearestNeighbors(n_neighbors=k + 1).fit(encoded)
    fitted = time.perf_counter()

    head = (
        f"Here are {k} tabular data about {description}, each containing {len(frame.columns) - 1} columns of features "
        f"and 1 column of labels, where the {target} column is a {task} label. I will transmit the data to you in "
        f"JSON format. Please generate an approximate sample based on these {k} examples.\n"
    )
    prompts = []
    for position, (_, row) in enumerate(frame.head(limit).iterrows()):
        _, found = search.kneighbors(encoded.iloc[[position]])
        neighbors = frame.iloc[found[0][1:]]
        if filter and (neighbors[target] == row[target]).sum() <= threshold:
            continue
        prompt = head
        for number, (_, neighbor) in zip(NUMBER_WORDS, neighbors.iterrows(), strict=False):
            prompt += f"Example {number}: {row_text(neighbor)}\n"
        prompts.append((prompt + "Generate one sample: ", row_text(row)))
    return prompts, {"fit": fitted - started, "rows": time.perf_counter() - fitted}


def row_text(row: pd.Series) -> str:
    """The row's JSON text, with values as strings."""
    return json.dumps({name: str(value) for name, value in row.items()}, ensure_ascii=False)
