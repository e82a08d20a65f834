"""The five lines at the end of a run: what they say at either end of each scale, and where nothing can be said."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from experiments.summary.answer import answer, position

ALIKE = {"synthetic": 0.92, "independent": 0.93, "real": 0.94}
RELATED = {"synthetic": 0.955, "independent": 0.91, "real": 0.96}


def yardstick(name: str, synthetic: float | None, independent: float | None, real: float | None) -> dict[str, Any]:
    values = {"synthetic": synthetic, "independent": independent, "real": real}
    return {f"yardstick/{table}/{name}": value for table, value in values.items()}


USEFUL = (
    yardstick("f1_macro", 0.7, 0.45, 0.74) | yardstick("column_shapes", *ALIKE.values())
    | yardstick("correlation_similarity", *RELATED.values())
)  # fmt: skip
ATTACKED = {"mia/dcr/auc": 0.53, "mia/worst": 0.53, "mia/worst/low": 0.45, "mia/worst/high": 0.61, "nrs": 1.0}
LEAKY = ATTACKED | {"mia/worst": 0.7, "mia/worst/low": 0.6, "mia/worst/high": 0.8}
AUDITED = ATTACKED | {"anonymeter/linkability": 0.0, "mle/f1_macro": 0.7}


def report(metrics: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A run's report; `config` in the changes goes into the configuration."""
    config = {"dataset": {"headline": "f1_macro"}, "generator": {"k": 5}, "scale": {"name": "quick"}}
    made = {
        "dataset": "diabetes", "generator": "smote", "seed": 0, "metrics": metrics, "unavailable": {}, "notes": {},
        "rows": {"train": 491, "test": 154, "synthetic": 491}, "validity": {}, "overrides": ["dataset=diabetes"],
        "config": config | changes.pop("config", {}),
    }  # fmt: skip
    return made | changes


# ---- useful


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0.30, "No more useful than independent columns"), (0.46, "No more useful than independent columns"),
        (0.55, "34% of the way from independent columns to real rows"),
        (0.65, "69% of the way from independent columns to real rows"),
        (0.74, "About as useful as real rows"), (0.80, "About as useful as real rows"),
    ],
)  # fmt: skip
def test_rows_stand_between_independent_columns_and_real_rows(score: float, words: str) -> None:
    line = answer(report(yardstick("f1_macro", score, 0.45, 0.74)))["useful"]
    assert line.startswith(words)
    assert f"tested on 154 real test rows: {score:.3f}; independent columns 0.450, as many real rows 0.740" in line
    assert "Differences below about 0.08 may be chance." in line


@pytest.mark.parametrize(("real", "test"), [(0.47, 10_000), (0.50, 154), (0.40, 154)])
def test_where_real_rows_are_hardly_better_nothing_is_concluded(real: float, test: int) -> None:
    given = report(yardstick("f1_macro", 0.6, 0.45, real), rows={"train": 491, "test": test, "synthetic": 491})
    assert answer(given)["useful"].startswith("Unclear for this table: real rows are hardly more useful")
    assert position(given) is None


def test_numbers_to_predict_and_errors_where_less_is_better() -> None:
    r2 = report(yardstick("r2", 0.42, -0.3, 0.45), config={"dataset": {"headline": None}})
    assert answer(r2)["useful"].startswith("About as useful as real rows (r2 of models")
    assert "chance" not in answer(r2)["useful"]
    rmse = report(yardstick("rmse", 2.9, 3.0, 2.0), config={"dataset": {"headline": "rmse"}})
    assert answer(rmse)["useful"].startswith("No more useful than independent columns")
    assert position(report(yardstick("rmse", 2.5, 2.0, 3.0), config={"dataset": {"headline": "rmse"}})) is None


def test_without_a_target_usefulness_is_how_columns_go_together() -> None:
    metrics = yardstick("column_shapes", *ALIKE.values()) | yardstick("correlation_similarity", *RELATED.values())
    line = answer(report(metrics))["useful"]
    assert line.startswith("About as useful as real rows (the table has no target, so by correlations: 0.955;")
    assert "as many real rows 0.960" in line


def test_what_was_not_measured_or_could_not_be_is_said() -> None:
    assert answer(report(ATTACKED))["useful"].startswith("Not measured: evaluator=utility")
    missing = yardstick("f1_macro", 0.6, None, None)
    line = answer(report(missing, unavailable={"yardstick/real/f1_macro": "the test rows are too few"}))["useful"]
    assert line == "Not available: the test rows are too few."


def test_validation_rows_are_called_so() -> None:
    assert "154 real validation rows" in answer(report(USEFUL, config={"evaluate_on": "validation"}))["useful"]


# ---- alike


def test_likeness_stands_beside_real_rows() -> None:
    line = answer(report(USEFUL))["alike"]
    assert line == (
        "Column shapes 0.920, as close as real rows (as many real rows 0.940); "
        "correlations 0.955, as close as real rows (as many real rows 0.960, independent columns 0.910)."
    )


@pytest.mark.parametrize(
    ("shapes", "grade"), [(0.93, "as close as"), (0.89, "a little off"), (0.8, "off"), (0.7, "far off")]
)
def test_columns_are_graded_by_what_they_lack(shapes: float, grade: str) -> None:
    assert f"{shapes:.3f}, {grade}" in answer(report(yardstick("column_shapes", shapes, 0.94, 0.94)))["alike"]


@pytest.mark.parametrize(
    ("value", "grade"),
    [(0.99, "as close as real rows"), (0.93, "partly kept"), (0.84, "mostly lost"), (0.80, "lost"), (0.7, "lost")],
)
def test_relations_are_graded_between_the_two_ends(value: float, grade: str) -> None:
    line = answer(report(yardstick("correlation_similarity", value, 0.8, 0.98)))["alike"]
    assert line.startswith(f"Correlations {value:.3f}, {grade} (")


def test_without_the_two_ends_only_the_numbers_are_told() -> None:
    line = answer(report({"column_shapes": 0.9, "correlation_similarity": 0.95, "contingency_similarity": 0.8}))[
        "alike"
    ]
    assert line == "Column shapes 0.900 of 1; correlations 0.950 of 1; pairs of categories 0.800 of 1."
    assert answer(report(ATTACKED))["alike"].startswith("Not measured")


def test_label_shares_that_are_off_are_told_with_the_label() -> None:
    note = {"mle/class_balance_gap": "'1': 13.0% of the synthetic rows, 35.0% of the training rows"}
    line = answer(report(USEFUL | {"mle/class_balance_gap": 0.22}, notes=note))["alike"]
    assert line.endswith("label shares differ by 22.0% ('1': 13.0% of the synthetic rows, 35.0% of the training rows).")
    assert "label" not in answer(report(USEFUL | {"mle/class_balance_gap": 0.02}, notes=note))["alike"]


# ---- attacks


def test_attacks_are_told_in_the_cards_words() -> None:
    line = answer(report(ATTACKED))["attacks"]
    assert line.startswith("No trace of the training rows was found, as far as tests of this size can show.")
    assert "the largest AUC is 0.530 [0.450, 0.610], by dcr (95% interval; guessing: 0.5)." in line
    assert line.endswith("None of the 491 synthetic rows matches a training row.")
    assert answer(report(LEAKY))["attacks"].startswith("Traces of the training rows were found. An attacker can tell")


def test_without_an_interval_nothing_is_claimed_of_attacks() -> None:
    line = answer(report({"mia/dcr/auc": 0.9, "mia/worst": 0.9, "nrs": 1.0}))["attacks"]
    assert "0.9" not in line and line.endswith("No attack on membership gave a result.")
    assert answer(report(USEFUL))["attacks"].startswith("Nothing was measured that could say")


def test_a_finding_of_another_measure_is_not_kept_back() -> None:
    found = ATTACKED | {"dlt_holdout": 0.3, "dlt_holdout/low": 0.1, "dlt_holdout/high": 0.5}
    line = answer(report(found))["attacks"]
    assert line.startswith("Traces of the training rows were found. No attack was better")
    assert "For the model, training rows are more likely than unseen rows" in line


# ---- rows


def test_rows_are_told_by_the_way_they_were_written_and_rejected() -> None:
    validity = {"raw": 0.6, "answers": 200.0, "free": 120.0, "constrained": 8.0, "rejected/too_long": 10.0,
                "rejected/missing_column": 62.0, "rejected/no_json": 8.0, "rejected/range": 1.0}  # fmt: skip
    given = report(USEFUL, validity=validity, rows={"train": 491, "test": 154, "synthetic": 128})
    assert answer(given)["rows"] == (
        "All 128 rows are valid (120 written freely, 8 with constrained decoding; 60.0% of the free answers were "
        "valid; rejected: missing_column 62, too_long 10, no_json 8)."
    )


def test_few_rejections_are_not_listed() -> None:
    validity = {"raw": 0.99, "answers": 100.0, "rejected/too_long": 1.0}
    assert answer(report(USEFUL, validity=validity))["rows"] == (
        "All 491 rows are valid (99.0% of the answers were valid)."
    )
    assert answer(report(USEFUL))["rows"] == "All 491 rows are valid: this generator writes only valid rows."


# ---- next

LEARNT = {"tuning": {"max_examples": None, "epochs": 3}, "sampling": {"context": "random"}}
USELESS = yardstick("f1_macro", 0.5, 0.45, 0.74)


def steps(given: dict[str, Any]) -> list[str]:
    return [line.partition(": ")[2] for line in answer(given)["next"].splitlines()]


@pytest.mark.parametrize(
    ("metrics", "generator", "command"),
    [
        (USELESS | ATTACKED, {"tuning": {"max_examples": 112, "epochs": 1}}, "generator.tuning.max_examples=null"),
        (USELESS | ATTACKED, LEARNT, "generator.tuning.epochs=6"),
        (USELESS | ATTACKED, LEARNT | {"tuning": {"epochs": 1, "minutes": 4}}, "generator.tuning.minutes=8"),
        (
            USELESS | ATTACKED, {"tuning": {"epochs": 1, "passes": 6, "max_tokens": 1_200_000}},
            "generator.tuning.passes=12 generator.tuning.max_tokens=2400000",
        ),
        (USELESS | ATTACKED, {"k": 5}, "generator=harmonic_dense"),
        (USEFUL | LEAKY, LEARNT, "generator.sampling.context=synthetic"),
        (USEFUL | LEAKY, {"k": 5}, "generator=harmonic_dense"),
        (USELESS | LEAKY, LEARNT, "generator.sampling.context=synthetic"),
    ],
)  # fmt: skip
def test_what_is_worst_is_mended_first(metrics: dict[str, Any], generator: dict[str, Any], command: str) -> None:
    found = steps(report(metrics, config={"generator": generator}))
    assert found == [f"harmonic dataset=diabetes {command}", "harmonic dataset=diabetes evaluator=audit"]


def test_useful_rows_without_findings_are_audited_and_then_repeated() -> None:
    assert steps(report(USEFUL | ATTACKED)) == ["harmonic dataset=diabetes evaluator=audit"]
    assert steps(report(USEFUL | AUDITED)) == ["harmonic dataset=diabetes -m seed=0,1,2"]
    planted = report(USEFUL | AUDITED, config={"canaries": {"count": 20}})
    assert steps(planted) == ["harmonic dataset=diabetes canaries.count=0"]


def test_fewer_rows_than_the_table_has_and_no_utility() -> None:
    few = report(USEFUL | ATTACKED, rows={"train": 491, "test": 154, "synthetic": 128})
    assert steps(few)[0] == "harmonic dataset=diabetes n_samples=null"
    assert steps(report(ATTACKED))[0] == "harmonic dataset=diabetes evaluator=full"


def test_anchors_are_nothing_to_release() -> None:
    given = report(USEFUL | LEAKY, config={"generator": {"_target_": "baselines.anchors.RealRows"}})
    assert answer(given)["next"].startswith(
        "these rows are for comparison, not for release; the default method: harmonic"
    )


def test_the_command_is_the_runs_own_with_one_change() -> None:
    own = ["dataset=csv", "dataset.path=my table.csv", "generator=smote", "generator.k=7"]
    own += ["evaluator=[fidelity,utility]", "~evaluator.privacy", "+generator.weights=x"]
    audit, other = (steps(report(metrics, overrides=own)) for metrics in (USEFUL | ATTACKED, USEFUL | LEAKY))
    assert shlex.split(audit[0]) == ["harmonic", *own[:4], own[6], "evaluator=audit"]
    assert shlex.split(other[0]) == ["harmonic", *own[:2], *own[4:6], "generator=harmonic_dense"]
    harmonic = report(USEFUL | LEAKY, overrides=own, generator="harmonic")
    assert shlex.split(steps(harmonic)[0]) == ["harmonic", *own[:2], "-m", "experiment=privacy"]


def test_a_report_without_its_command_names_the_change() -> None:
    given = report(USEFUL | ATTACKED)
    del given["overrides"]
    assert "harmonic evaluator=audit (and the other settings of this run)" in answer(given)["next"]
