"""Results with labels that say which runs may be averaged, and the mean and standard deviation over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

ANCHORS = ("real", "copy", "holdout", "marginals")


@dataclass(frozen=True, slots=True)
class Pooled:
    """One cell's values over seeds. `std`: sample standard deviation (n - 1), NaN for one value. `note`: of a value."""

    mean: float = math.nan
    std: float = math.nan
    n: int = 0
    reason: str = ""
    note: str = ""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Pooled:
        """Pool the rows of one metric of one generator on one dataset; each row is a seed."""
        values = rows["value"].dropna().to_numpy()
        if len(values) == 0:
            return cls(reason=next((reason for reason in rows["reason"] if reason), "no finished run"))
        note = next((note for note in rows["note"] if note), "")
        std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        return cls(float(values.mean()), std, len(values), note=note)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The results for tables: finished runs on test rows, one row for each (dataset, label, seed, metric).

    Adds the columns "label", "anchor", "unranked" and "usual". The label is the generator, and everything that makes
    runs different, so that they must not be averaged: other settings (`variant`), older code (`outdated`), and LLM,
    scale and number of rows if they differ from those of most runs, which are in "usual". Anchors and results of older
    code are unranked. If a run was repeated, the latest one with the metric counts.
    """
    results = (frame["status"] == "done") & (frame["evaluated_on"] == "test") & ~frame["superseded"]
    done = frame[results & frame["metric"].notna()].copy()
    drawn = ["as training" if pd.isna(n) else str(n) for n in done["n_samples"]]
    sizes = pd.DataFrame({"llm": done["llm"], "scale": done["scale"], "rows": drawn}, index=done.index)
    runs = sizes[~done["folder"].duplicated()]
    usual = {name: runs[name].mode().iloc[0] for name in sizes} if len(runs) else {}
    labels = []
    names = zip(done["generator"], done["variant"], done["outdated"], sizes.to_dict("records"), strict=True)
    for generator, variant, outdated, own in names:
        parts = [f"{name}={value}" for name, value in own.items() if value != usual[name]]
        parts += [variant] if variant else []
        labels.append(", ".join([generator, *parts, *([f"outdated: {outdated}"] if outdated else [])]))
    done["label"], done["anchor"] = labels, done["generator"].isin(ANCHORS)
    done["unranked"] = done["anchor"] | (done["outdated"] != "")
    done["usual"] = ", ".join(f"{name}={value}" for name, value in usual.items())
    done["_known"] = done["value"].notna()
    done = done.sort_values(["_known", "finished"], kind="stable")
    return done.drop_duplicates(["dataset", "label", "seed", "metric"], keep="last").drop(columns="_known")


def named(label: str) -> str:
    """The label in a sentence, where a comma would look like the start of the next: "aim with epsilon=10"."""
    return label.replace(", ", " with ", 1)


def ordered(values: pd.DataFrame, first: str) -> list[tuple[str, bool]]:
    """(label, whether it is unranked), with the generator `first` on top and unranked labels at the bottom."""
    known = values.drop_duplicates("label")
    found = sorted(
        zip(known["unranked"], known["generator"] != first, known["label"], strict=True), key=lambda each: each
    )
    return [(label, unranked) for unranked, _, label in found]
