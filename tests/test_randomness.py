"""harmonic.randomness: global states are given back, derived seeds are independent."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch

from harmonic.randomness import derive, fixed_order, seeded


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_the_same_seed_draws_the_same():
    with seeded(3):
        first = draws()
    with seeded(3):
        assert draws() == first
    with seeded(4):
        assert draws() != first


def test_all_three_states_go_on_as_if_nothing_had_been():
    with seeded(0):
        expected = [draws(), draws()]
    with seeded(0):
        found = [draws()]
        with seeded(99):
            draws()
        found.append(draws())
    assert found == expected


def test_states_come_back_after_an_error():
    with seeded(0):
        expected = draws()
    with seeded(0):
        with pytest.raises(RuntimeError), seeded(1):
            draws()
            raise RuntimeError
        assert draws() == expected


def test_any_integer_is_a_seed():
    with seeded(2**40 + 1):
        large = draws()
    with seeded(1):
        assert draws() != large  # NumPy takes it mod 2**32, the others whole
    with seeded(-1):
        draws()


def test_derived_seeds_differ_by_purpose_and_stay():
    seeds = {derive(0), derive(1), derive(0, 1), derive(0, 2), derive(0, "fit"), derive(0, "sample"), derive(0, 0)}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive(7, "fit", 2) == derive(np.int64(7), "fit", 2) == 904379445  # on every machine
    assert derive(0, "evaluate:fidelity") != derive(0, "evaluate:privacy")


def test_a_gpu_adds_in_a_fixed_order_inside_and_as_before_outside(monkeypatch):
    from torch.utils import deterministic

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "as before")  # so that it is gone after the test
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(deterministic, "fill_uninitialized_memory", True)
    with fixed_order("cpu"):
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError), fixed_order("cuda:0"):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()  # attention's kernels heed it only then
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")  # what torch asks for
        assert not deterministic.fill_uninitialized_memory
        raise RuntimeError
    assert not torch.are_deterministic_algorithms_enabled() and deterministic.fill_uninitialized_memory
