"""Orders of a shop, in which columns follow from each other in every way that is looked for; for tests of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CITIES = {"101": "Graz", "205": "Wien", "309": "Linz", "412": "Wels", "533": "Steyr"}
RULES = {"total = net + tax + freight", "amount = count * price", "code -> city", "placed <= sent"}


def orders(rows: int = 300, seed: int = 0) -> dict[str, Any]:
    """The columns, as texts and numbers."""
    draw = np.random.default_rng(seed)
    code = draw.choice(list(CITIES), rows)
    net, tax = draw.integers(100, 90000, rows) / 100, draw.integers(0, 900, rows) / 100
    freight = draw.integers(0, 40, rows)
    count, price = draw.integers(1, 9, rows), draw.integers(100, 9999, rows) / 100
    placed = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 400, rows), unit="D")
    sent = placed + pd.to_timedelta(draw.integers(0, 30, rows), unit="D")
    return {
        "code": ["c" + one for one in code], "city": [CITIES[one] for one in code],
        "net": [f"{one:.2f}" for one in net], "tax": [f"{one:.2f}" for one in tax], "freight": freight,
        "total": [f"{one:.2f}" for one in net + tax + freight],
        "count": count, "price": [f"{one:.2f}" for one in price], "amount": [f"{one:.2f}" for one in count * price],
        "placed": placed.strftime("%Y-%m-%d"), "sent": sent.strftime("%Y-%m-%d"),
        "paid": draw.choice(["yes", "no"], rows),
    }  # fmt: skip


def write_orders(path: Path, rows: int = 300, **more: Any) -> Path:
    """The same as a CSV file; `more` columns come first."""
    pd.DataFrame({**more, **orders(rows)}).to_csv(path, index=False)
    return path


def broken(path: Path) -> list[str]:
    """Which relations a CSV file of orders breaks: checked anew here, with pandas and exact decimals alone."""
    read = pd.read_csv(path, dtype=str)
    cents = {
        name: (read[name].astype(float) * 100).round().astype(int)
        for name in ("net", "tax", "freight", "total", "amount", "price")
    }
    holds = {
        "total": (cents["total"] == cents["net"] + cents["tax"] + cents["freight"]).all(),
        "amount": (cents["amount"] == cents["price"] * read["count"].astype(int)).all(),
        "city": (read["city"] == read["code"].str[1:].map(CITIES)).all(),
        "sent": (pd.to_datetime(read["sent"]) >= pd.to_datetime(read["placed"])).all(),
    }  # fmt: skip
    return [name for name, kept in holds.items() if not kept]
