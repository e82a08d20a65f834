"""Silence around foreign libraries, and only there."""

from __future__ import annotations

import logging
import sys
import warnings

import datasets
import pytest

from baselines.foreign_training import logging_steps, muted
from harmonic.progress import Progress


def test_within_it_only_our_own_progress_speaks(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), muted():
        with muted():  # one within another
            pass
        print("a library prints")
        warnings.warn("a library warns", stacklevel=1)
        logging.getLogger().warning("a library logs to the root logger")
        assert datasets.are_progress_bars_disabled()
        with Progress("fit", 1, "steps") as progress:
            progress.advance(1)
    assert capfd.readouterr().out == ""
    assert [record.name for record in caplog.records] == ["harmonic.progress"]


def test_after_it_all_is_as_before(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = list(root.handlers), list(root.filters), datasets.are_progress_bars_disabled(), sys.stdout
    with pytest.raises(ValueError, match="inside"), muted():
        raise ValueError("inside")
    assert (list(root.handlers), list(root.filters), datasets.are_progress_bars_disabled(), sys.stdout) == before
    root.warning("heard")
    assert "heard" in caplog.text
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)


@pytest.mark.parametrize(("steps", "expected"), [(1, 1), (199, 1), (2000, 10)])
def test_the_loss_has_at_most_a_few_hundred_points(steps: int, expected: int) -> None:
    assert logging_steps(steps) == expected
