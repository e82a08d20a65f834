"""The privacy card: what it says follows from the report, and is never more than the intervals allow."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import open_dict
from sweeps import write_run

from experiments.card.limits import not_tested, warnings
from experiments.card.numbers import attacks_made, least_visible
from experiments.card.privacy_card import card, concerns_privacy, main
from experiments.card.reading import reading
from experiments.run import run_job
from harmonic.evaluation.attacks import roc
from harmonic.evaluation.privacy.membership import ON_LIKELIHOODS, ON_ROWS

QUIET = {"dcr": (0.51, 0.45, 0.57), "levatt": (0.53, 0.47, 0.59)}
LOUD = {"dcr": (0.71, 0.65, 0.77), "levatt": (0.53, 0.47, 0.59)}


def attacked(areas: dict[str, tuple[float, float, float]], members: int = 154, others: int = 154) -> dict[str, Any]:
    """Metrics of attacks with these AUCs and intervals."""
    found: dict[str, Any] = {}
    for name, (area, low, high) in areas.items():
        found |= {f"mia/{name}/auc": area, f"mia/{name}/auc/low": low, f"mia/{name}/auc/high": high}
        found |= {f"mia/{name}/members": members, f"mia/{name}/non_members": others}
        found |= {f"mia/{name}/tpr_at_10{end}": value for end, value in (("", 0.1), ("/low", 0.05), ("/high", 0.2))}
    worst = max(areas, key=lambda name: areas[name][0])
    found |= {"mia/worst": areas[worst][0], "mia/worst/low": areas[worst][1], "mia/worst/high": areas[worst][2]}
    return found


def report(metrics: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a run reports; `changes` are other entries."""
    made = {
        "dataset": "diabetes", "generator": "smote", "seed": 0, "run_id": "00c0ffee", "status": "running",
        "config": {"scale": {"name": "quick"}, "generator": {"k": 5}, "evaluator": {}}, "metrics": metrics,
        "rows": {"train": 491, "learnt": 491, "test": 154, "reference": 61, "synthetic": 491},
        "unavailable": {}, "notes": {},
    }  # fmt: skip
    return made | changes


# ---- the reading


def test_no_attack_above_guessing_is_said_with_the_rows_and_what_would_have_gone_unseen() -> None:
    text = reading(report(attacked(QUIET)))
    assert "No attack was better than guessing, as far as 154 training rows and 154 unseen rows can show" in text
    assert "(an AUC below about 0.57 would be missed)" in text
    assert "the largest AUC is 0.530 [0.470, 0.590], by levatt (95% interval for 2 attacks at once" in text


def test_an_attack_above_guessing_is_named_with_its_interval() -> None:
    text = reading(report(attacked(LOUD)))
    assert text.startswith("Traces of the training rows were found.")
    assert "the attack dcr ranks the training row first in 71% of pairs" in text
    assert "[65.0%, 77.0%]" in text


@pytest.mark.parametrize(("members", "others"), [(60, 60), (200, 50)])
def test_the_least_visible_area_is_where_scores_of_noise_end(members: int, others: int) -> None:
    rng = np.random.default_rng(0)
    areas = [roc.area(rng.normal(size=members), rng.normal(size=others)) for _ in range(4000)]
    visible = least_visible(report(attacked({"dcr": QUIET["dcr"]}, members, others)))
    assert visible is not None
    assert np.mean(np.abs(np.array(areas) - 0.5) > visible - 0.5) == pytest.approx(0.05, abs=0.012)


def test_more_attacks_and_fewer_rows_see_less() -> None:
    alone, both, few = (
        least_visible(report(attacked(areas, size, size)))
        for areas, size in (({"dcr": QUIET["dcr"]}, 154), (QUIET, 154), (QUIET, 30))
    )
    assert alone is not None and both is not None and few is not None
    assert 0.5 < alone < both < few


LEAKS = {
    "mia/worst": (0.5, "An attacker can tell", "No attack was better than guessing"),
    "prompt_copy/rows": (0.0, "generator repeats rows of its prompts", "does not repeat rows of its prompts more"),
    "prompt_copy/cells": (0.0, "generator repeats numbers of its prompts", "not repeat numbers of its prompts more"),
    "dlt_holdout": (0.0, "training rows are more likely than", "training rows are no more likely than"),
    "canary/auc": (0.5, "rows can be recognized by", "rows cannot be recognized"),
    "anonymeter/linkability": (0.0, "this succeeds more often for", "This succeeds no more often for"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("above", [True, False])
def test_a_measure_leaks_where_its_interval_excludes_what_leaks_nothing(name: str, above: bool) -> None:
    nothing, leaks, quiet = LEAKS[name]
    low = nothing + (0.02 if above else -0.02)
    metrics = {name: nothing + 0.05, f"{name}/low": low, f"{name}/high": nothing + 0.1}
    if name == "mia/worst":
        metrics |= {"mia/dcr/auc": 0.55, "mia/dcr/auc/low": low, "mia/dcr/auc/high": 0.6}
    text = reading(report(metrics))
    assert (leaks in text, quiet in text) == (above, not above)
    opening = "No trace" if not above else "There are signs" if name == "prompt_copy/cells" else "Traces of"
    assert text.startswith(opening)


def test_no_reading_promises_anything() -> None:
    """Whatever the numbers: no word of safety, and always the limit of testing."""
    for areas, new, low in product((QUIET, LOUD), (1.0, 0.5), (-0.1, 0.1)):
        leaks = {"nrs": new, "dlt_holdout": 0.1, "dlt_holdout/low": low, "dlt_holdout/high": 0.2}
        text = card(report(attacked(areas) | leaks)).lower()
        for word in ("safe", "anonymous", "protected", "no risk", "private "):
            assert word not in text
        assert "no test of this kind is a guarantee" in text


def test_rows_that_stand_apart_are_told_beside_all_others() -> None:
    apart = {"mia/worst_apart/members": 15, "mia/worst_apart/non_members": 16}
    for low, words in (
        (0.6, "ranks the training row first in 80% of pairs (95% interval for all attacks at once: [60.0%, 90.0%])"),
        (0.4, "Among 15 training rows and 16 unseen rows that are unlike all others, no attack was better"),
    ):
        found = {"mia/worst_apart": 0.8, "mia/worst_apart/low": low, "mia/worst_apart/high": 0.9, "mia/dcr/apart": 0.7}
        given = report(attacked(QUIET) | apart | found, notes={"mia/worst_apart": "mc"})
        assert words in reading(given)
        assert f"strongest: AUC 0.800 [{low:.3f}, 0.900], by mc, with a 95% interval for all attacks at once" in card(
            given
        )
    assert "| dcr | synthetic rows | 154, 154 | 0.510 [0.450, 0.570] | 0.700 |" in card(given)


def bounded(value: float) -> dict[str, Any]:
    """Metrics of an empirical epsilon."""
    found = {"epsilon": value, "epsilon/largest": 3.01, "epsilon/tpr": 0.5, "epsilon/fpr": 0.013}
    return found | {"epsilon/members": 77.0, "epsilon/non_members": 78.0}


def test_an_epsilon_that_is_refuted_is_told_with_what_could_have_been_shown() -> None:
    text = reading(report(bounded(1.234)))
    assert text.startswith("Traces of the training rows were found.")
    assert "an epsilon below 1.23 (delta 1e-05, one row replaced) is refuted at 95% confidence" in text
    assert "50.0% of 77 training rows, and 1.3% of 78 unseen rows" in text
    assert "would refute an epsilon below 3.01" in text
    settings = {"evaluator": {"empirical_epsilon": {"delta": 0.001, "confidence": 0.9}}}
    assert "delta 0.001, one row replaced) is refuted at 90%" in reading(report(bounded(1.0), config=settings))


def test_a_bound_of_zero_refutes_nothing_and_promises_nothing() -> None:
    text = reading(report(bounded(0.0)))
    assert text.startswith("No trace of the training rows was found, as far as")
    assert "No epsilon of differential privacy is refuted at 95% confidence (delta 1e-05), with 77 training" in text
    assert "a rule without mistakes would refute an epsilon below 3.01" in text
    written = card(report(bounded(0.0), notes={"epsilon": "dcr: takes 1 of 77"}))
    assert "| epsilon | 0.000 (dcr: takes 1 of 77) |" in written and "epsilon/tpr" not in written


def test_shadow_models_are_read_and_no_longer_missing() -> None:
    for low, words in (
        (0.6, "ranks the training row first in 70% of pairs (95% interval: [60.0%, 80.0%])"),
        (0.4, "no better"),
    ):
        given = report({"shadow/auc": 0.7, "shadow/auc/low": low, "shadow/auc/high": 0.8})
        assert words in reading(given) and "who fits the same generator 16 times" in reading(given)
        assert "(shadow models)" not in "\n".join(not_tested(given))
    assert any("(shadow models): not measured" in line or "(shadow models)," in line for line in not_tested(report({})))


def test_copies_are_counted_among_the_synthetic_rows() -> None:
    assert "None of the 491 synthetic rows matches a training row." in reading(report({"nrs": 1.0}))
    assert "3 of 491 synthetic rows match a training row (numbers to within 1%)" in reading(report({"nrs": 488 / 491}))


def test_a_rate_that_stands_out_alone_is_a_sign_and_no_finding() -> None:
    metrics = attacked(QUIET) | {"mia/dcr/tpr_at_10": 0.3, "mia/dcr/tpr_at_10/low": 0.2, "mia/dcr/tpr_at_10/high": 0.4}
    text = reading(report(metrics))
    assert text.startswith("There are signs of training rows; they may be chance, or reveal nothing about a person.")
    assert "With 10% false alarms, the attack dcr finds 30.0% of the training rows [20.0%, 40.0%]; among 2 such" in text


def test_planted_rows_are_found_by_their_exposure_too() -> None:
    ranked = {"canary/auc": 0.6, "canary/auc/low": 0.45, "canary/auc/high": 0.75}
    for low, words in (
        (1.4, "rows cannot be recognized"),
        (1.5, "can be recognized by the closest synthetic row"),
    ):
        bits = {"canary/exposure": 3.0, "canary/exposure/low": low, "canary/exposure/high": 5.0}
        assert words in reading(report(ranked | bits, notes={"canary/auc": "nearest"}))


def test_an_attack_no_better_than_guessing_clears_nothing() -> None:
    name = "anonymeter/inference"
    metrics = {name: 0.0, f"{name}/low": 0.0, f"{name}/high": 0.1, f"{name}/main": 0.3, f"{name}/naive": 0.3}
    assert "too weak to show anything" in reading(report(metrics))
    assert "This succeeds no more often" in reading(report(metrics | {f"{name}/main": 0.4}))


def test_what_was_not_measured_is_not_read() -> None:
    assert "could say" in reading(report({"mle/f1_macro": 0.7}))
    assert "could say" in reading(report({"mia/worst": None, "nrs": None}, unavailable={"nrs": "no rows"}))


def test_an_attack_that_ranks_unseen_rows_first_is_told_as_reversed() -> None:
    found = attacked({"dcr": (0.30, 0.24, 0.36), "levatt": (0.53, 0.47, 0.59)})
    found |= {"mia/worst": 0.70, "mia/worst/low": 0.64, "mia/worst/high": 0.76}
    told = report(found, notes={"mia/worst": "dcr, reversed"})
    assert attacks_made(told) == ["dcr", "levatt"]
    assert "the attack dcr (reversed) ranks the training row first in 70% of pairs" in reading(told)
    assert "| dcr | synthetic rows | 154, 154 | 0.300 [0.240, 0.360] |" in card(told)
    assert "Strongest: AUC 0.700 [0.640, 0.760], by dcr, reversed;" in card(told)


# ---- what to mind, what is missing


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (report(attacked(QUIET, 154, 100)), "compares 154 members with 100 non-members: the counts differ"),
        (report(attacked(QUIET)), "rate of 0.1% cannot be measured with 154 non-members: it needs 1,000"),
        (report(attacked(QUIET, 60, 60)), "rate of 1% cannot be measured with 60 non-members: it needs 100"),
        (report(attacked(QUIET)), "true-positive rates at 1% depend on few false positives (1)"),
        (report(attacked({"dcr": (0.4, 0.35, 0.45)})), "unseen rows before training rows (0.400 [0.350, 0.450])"),
        (report({"dcr/share": 0.5}), "2505.01524"),
        (report({"dlt": 0.1}), "low sampling temperature"),
        (report(attacked(QUIET), rows={"train": 491, "synthetic": 128}), "128 synthetic rows were examined"),
        (report({}, config={"evaluate_on": "validation"}), "use these numbers for choices only"),
        (report({}, config={"canaries": {"count": 20}}), "20 made-up rows were planted"),
        (report({}), "one run of one generator"),
    ],
)  # fmt: skip
def test_what_qualifies_the_numbers_is_told(given: dict[str, Any], words: str) -> None:
    assert any(words in warning for warning in warnings(given))


def test_enough_non_members_raise_no_warning_about_rates() -> None:
    told = " ".join(warnings(report(attacked(QUIET, 20_000, 20_000))))
    assert "cannot be measured" not in told and "false positives" not in told and "the counts differ" not in told


def test_every_attack_and_measure_without_a_number_is_listed_with_its_reason() -> None:
    without = "needs a language generator"
    metrics = attacked(QUIET) | {"mia/loss/auc": None, "dlt_holdout": None, "nrs": 1.0, "anonymeter/inference": 0.1}
    lines = not_tested(report(metrics, unavailable={"mia/loss/auc": without, "dlt_holdout": without}))
    told = "\n".join(lines)
    assert f"the attack loss, the model's memory of training rows: {without}" in lines
    (unmeasured,) = [line for line in lines if line.endswith("not measured in this run")]
    for name in {*ON_LIKELIHOODS, *ON_ROWS} - {"loss", "dcr", "levatt"}:
        assert f"the attack {name}" in unmeasured
    for words in ("planted rows", "singling out", "linkability", "distances to training rows"):
        assert words in unmeasured
    for words in ("the attack dcr", "copies of training rows", "inference of a column"):
        assert words not in told
    assert "differential privacy" in told


# ---- the card


def test_the_card_is_a_function_of_the_reports_contents() -> None:
    given = report(attacked(LOUD) | {"nrs": 0.9, "dlt": None}, unavailable={"dlt": "no model"})
    again = json.loads(json.dumps(given)) | {"status": "done", "finished": "2026-01-01T00:00:00+00:00"}
    assert card(given) == card(again)


def test_the_card_shows_every_attack_with_rates_and_intervals_and_the_sizes() -> None:
    text = card(report(attacked(LOUD) | {"mia/dcr/tpr_at_1": None}))
    assert "| dcr | synthetic rows | 154, 154 | 0.710 [0.650, 0.770] | – | – | – | 0.100 [0.050, 0.200] |" in text
    assert text.index("| dcr |") < text.index("| levatt |")  # the strongest first
    assert "Strongest: AUC 0.710 [0.650, 0.770], by dcr; this 95% interval holds for all attacks at once." in text
    for row in ("training rows | 491", "held-out rows (non-members) | 154", "synthetic rows | 491"):
        assert f"| {row} |" in text


def test_the_card_shows_measures_with_interval_note_direction_and_meaning() -> None:
    metrics = {"prompt_copy/rows": 0.1, "prompt_copy/rows/low": 0.05, "prompt_copy/rows/high": 0.2, "nrs": 0.9}
    text = card(report(metrics, notes={"prompt_copy/rows": "12% equal, 2% by chance"}))
    assert (
        "| prompt_copy/rows | 0.100 [0.050, 0.200] (12% equal, 2% by chance) | → 0 | share of rows that equal" in text
    )
    assert "| nrs | 0.900 | → 1 |" in text
    assert "No attack gave a result: none was run." in text


def test_a_signal_that_the_canaries_figures_repeat_is_shown_once() -> None:
    metrics = {"canary/auc": 0.7, "canary/nearest/auc": 0.7, "canary/model/auc": 0.6}
    text = card(report(metrics, notes={"canary/auc": "nearest"}))
    assert "canary/auc" in text and "canary/model/auc" in text and "canary/nearest/auc" not in text


def test_an_old_report_without_sizes_gives_a_card_that_says_so() -> None:
    metrics = {name: value for name, value in attacked(LOUD).items() if "members" not in name}
    given = report(metrics)
    del given["rows"], given["notes"]
    text = card(given)
    assert "| synthetic rows | not recorded |" in text
    assert "The report does not say how many rows the attack dcr compared." in text
    assert attacks_made(given) == ["dcr", "levatt"]


def test_names_of_the_users_have_no_meaning_in_markdown() -> None:
    text = card(report({"nrs": None}, dataset="a|b <script> [x](y)", unavailable={"nrs": "column 'p|q' is odd"}))
    assert r"a\|b \<script\> \[x\](y)" in text and r"'p\|q'" in text


@pytest.mark.parametrize(
    ("metrics", "concerns"),
    [({"nrs": 1.0}, True), ({"mia/dcr/auc": None}, True), ({"canary/auc": 0.5}, True), ({"mle/f1_macro": 0.7}, False)],
)
def test_a_run_that_measured_privacy_has_a_card(metrics: dict[str, Any], concerns: bool) -> None:
    assert concerns_privacy(report(metrics)) is concerns


# ---- of runs


def run(output: Path, *overrides: str) -> Path:
    """One job in this process, as `harmonic` runs it; the run's folder."""
    given = ["scale=smoke", "tracker=off", "data_dir=null", "generator=copy", f"output_dir={output}", *overrides]
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", given, return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return run_job(config, choices)


def test_a_run_leaves_its_card_among_its_products_and_can_print_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path, "evaluator=[privacy,membership]", "evaluator.membership_inference.attacks=[dcr,levatt]")
    found = json.loads((folder / "report.json").read_text())
    written = (folder / "privacy_card.md").read_text(encoding="utf-8")
    assert written == card(found)
    assert found["rows"] == {"train": 491, "learnt": 491, "test": 154, "reference": 61, "synthetic": 12}
    assert "| dcr | synthetic rows | 154, 154 |" in written and "12 of 12 synthetic rows match" in written
    assert "privacy_card.md" in json.loads((folder / "DONE").read_text())["files"]
    capsys.readouterr()
    main([str(folder)])
    assert capsys.readouterr().out == written + "\n"


def test_a_run_that_measured_no_privacy_leaves_none(tmp_path: Path) -> None:
    assert not (run(tmp_path, "evaluator=fidelity") / "privacy_card.md").exists()


def test_a_card_that_cannot_be_made_does_not_cost_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.card.privacy_card.card", lambda found: 1 / 0)
    folder = run(tmp_path, "evaluator=privacy")
    assert (folder / "DONE").exists() and not (folder / "privacy_card.md").exists()
    assert "ZeroDivisionError" in (folder / "run.log").read_text()


def test_several_runs_are_set_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, attacked(LOUD) | {"nrs": 0.5}, generator="copy", notes={"mia/worst": "dcr"})
    write_run(tmp_path, attacked(QUIET) | {"nrs": 1.0}, generator="holdout")
    write_run(tmp_path, {"mle/f1_macro": 0.7}, generator="real")
    write_run(tmp_path, {"nrs": 1.0}, generator="smote", status="failed")
    main([str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.count("# Privacy card") == 3
    assert "| copy on german, seed 0 (00c0ffee) | 0.710 [0.650, 0.770] (dcr) | 0.500 |" in printed
    assert "| holdout on german, seed 0 (00c0ffee) | 0.530 [0.470, 0.590] (levatt) | 1.000 |" in printed
    assert "not finished (failed)" in printed and "real on german" not in printed


def test_folders_without_a_card_end_with_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, {"mle/f1_macro": 0.7})
    for folder, words in ((tmp_path, "no run there measured privacy"), (tmp_path / "nowhere", "no such folder")):
        with pytest.raises(SystemExit) as ended:
            main([str(folder)])
        assert ended.value.code == 1 and words in capsys.readouterr().err


def test_rows_of_one_person_are_told() -> None:
    people = {"column": "patient_id", "people": 60, "rows": 182}
    text = "\n".join(warnings(report(attacked(QUIET), people=people)))
    assert "182 rows are of 60 people or things (column patient_id) and are treated as independent" in text
    assert "Intervals count rows" in text and "is not kept" in text
    assert not any("people" in line for line in warnings(report(attacked(QUIET), people=None)))
