"""harmonic.progress: lines where there is no terminal, and rates."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest

from harmonic import progress as module
from harmonic.progress import Progress


@pytest.fixture
def clock(monkeypatch, caplog):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: False))
    caplog.set_level(logging.INFO, logger="harmonic.progress")
    return now


def test_rates_count_what_came_along(clock):
    with Progress("fit", 40, "rows") as progress:
        clock.seconds += 4
        progress.advance(8, tokens=1000)
        clock.seconds += 4
        progress.advance(8, tokens=3000)
        assert progress.rate("tokens") == 500
        assert progress.detail() == "2.00 rows/s  500 tokens/s"


def test_a_line_comes_only_after_a_while_and_at_the_end(clock, caplog):
    with Progress("fit", 40, "rows") as progress:
        for _ in range(20):
            clock.seconds += 1
            progress.note(loss="0.5")
            progress.advance(2)
        assert [record.getMessage() for record in caplog.records] == [
            "fit: 30 of 40 rows  1.88 rows/s  loss 0.5  5 s left"
        ]
    assert caplog.records[-1].getMessage() == "fit: 40 of 40 rows  2.00 rows/s  loss 0.5"


def test_skipped_work_has_no_part_in_rate_and_time_left(clock, caplog):
    with Progress("fit", 100, "rows") as progress:
        progress.skip(60)
        clock.seconds += 20
        progress.advance(20)
    assert caplog.records[-1].getMessage() == "fit: 80 of 100 rows  1.00 rows/s  20 s left"


def test_nothing_done_says_nothing(clock, caplog):
    with Progress("fit", 10, "rows"):
        pass
    assert not caplog.records


def test_a_terminal_gets_a_bar_and_no_lines(monkeypatch, caplog, capsys):
    caplog.set_level(logging.INFO, logger="harmonic.progress")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("sample", 4, "rows") as progress:
        progress.advance(4, tokens=10)
    assert "sample" in capsys.readouterr().err
    assert not caplog.records
