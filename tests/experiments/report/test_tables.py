"""Tables of results: means and spreads, what is bold, what is missing and why, p-values, and how they are typeset."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sweeps import failure, write_run

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.frame import tidy
from experiments.collect.runs import read_runs
from experiments.collect.shown_metrics import MetricColumn, columns, goodness, number
from experiments.report.labelled_results import measured
from experiments.report.published import published_figures, published_table
from experiments.report.significance import MIN_PAIRS, compare, holm, significance_table
from experiments.report.tables import Cell, ResultTable, all_tables, result_table
from experiments.report.typeset import escape_latex, escape_markdown, latex, markdown

WD, MLE, NRS = MetricColumn("WD", "wasserstein"), MetricColumn("MLE", "mle/{headline}"), MetricColumn("NRS", "nrs")
SHARE, HOLDOUT = MetricColumn("share", "dcr/share"), MetricColumn("holdout", "dlt_holdout")
ATTACK = MetricColumn("attack", "mia/dcr/auc")
NASTY = 'a_b & 50% $x$ #1 {c} ~d ^e \\f <script>alert("1")</script> | [g] *h* `i`'


def values_of(outputs: Path) -> pd.DataFrame:
    return measured(tidy(read_runs([outputs])))


def table_of(outputs: Path, *measures: MetricColumn) -> ResultTable:
    table = result_table("name", "Title", values_of(outputs), measures)
    assert table is not None
    return table


def write_seeds(outputs: Path, metric: str, figures: dict[str, float], seeds: int = 5, **given: str) -> None:
    """Runs of each generator over seeds, its figure give or take a thousandth."""
    draw = np.random.default_rng(0)
    for generator, value in figures.items():
        for seed, noise in enumerate(draw.normal(0, 0.001, seeds)):
            write_run(outputs, {metric: value + float(noise)}, generator=generator, seed=seed, **given)  # type: ignore[arg-type]


def column(table: ResultTable, title: str) -> dict[str, Cell]:
    """Cells under the title, by generator."""
    position = next(i for i, head in enumerate(table.header) if head.startswith(title))
    return {row[1].text: row[position] for row in table.rows}


def test_mean_and_standard_deviation_over_seeds_by_hand(tmp_path: Path) -> None:
    for seed, value in enumerate((0.1, 0.2, 0.6)):
        write_run(tmp_path, {"wasserstein": value}, seed=seed)
    table = table_of(tmp_path, WD)
    # mean 0.9 / 3; deviations -0.2, -0.1, 0.3: sqrt((0.04 + 0.01 + 0.09) / 2) = 0.26458
    assert column(table, "WD")["smote"].text == "0.300 ± 0.265"
    assert "over 3 seeds" in table.notes[0]


def test_one_seed_has_no_spread_and_another_number_of_seeds_is_said(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, {"wasserstein": 0.5}, seed=seed)
    write_run(tmp_path, {"wasserstein": 0.25}, generator="tvae")
    assert column(table_of(tmp_path, WD), "WD")["tvae"].text == "0.250 [1]"


@pytest.mark.parametrize(
    ("measure", "name", "figures", "best"),
    [
        (WD, "wasserstein", {"smote": 0.3, "tvae": 0.2, "ctgan": 0.4}, {"tvae"}),
        (NRS, "nrs", {"smote": 0.3, "tvae": 0.2, "ctgan": 0.4}, {"ctgan"}),
        (NRS, "nrs", {"smote": 0.3, "tvae": 0.9001, "ctgan": 0.9}, set()),  # less between them than between seeds
        (NRS, "nrs", {"smote": 0.9, "tvae": 0.9}, set()),  # nothing to choose between
        (NRS, "nrs", {"smote": 0.9}, set()),
        (SHARE, "dcr/share", {"smote": 0.4, "tvae": 0.58, "ctgan": 0.9}, {"tvae"}),  # the nearest to 0.5
        (NRS, "nrs", {"smote": 0.3, "tvae": 0.2, "real": 0.9, "holdout": 1.0}, {"smote"}),  # anchors are not ranked
        (HOLDOUT, "dlt_holdout", {"smote": -0.3, "tvae": -0.1, "ctgan": 0.1}, set()),  # both are what is wanted
        (HOLDOUT, "dlt_holdout", {"smote": -0.3, "tvae": 0.2, "ctgan": 0.1}, {"smote"}),
        (ATTACK, "mia/dcr/auc", {"smote": 0.3, "tvae": 0.55, "ctgan": 0.9}, {"tvae"}),  # reversed is not perfect
        (MetricColumn("low", "mia/dcr/auc/low"), "mia/dcr/auc/low", {"smote": 0.1, "tvae": 0.2}, set()),  # no direction
    ],
)  # fmt: skip
def test_the_best_by_direction_is_bold_where_seeds_bear_it_out(
    tmp_path: Path, measure: MetricColumn, name: str, figures: dict[str, float], best: set[str]
) -> None:
    write_seeds(tmp_path, name, figures)
    cells = column(table_of(tmp_path, measure), measure.title)
    assert {generator for generator, cell in cells.items() if cell.best} == best


def test_a_difference_is_bold_only_where_its_paired_test_holds_after_correction(tmp_path: Path) -> None:
    noise = np.array([-1.5, -1.0, -0.5, -0.1, 0.1, 0.5, 1.0, 1.5])
    less = {name: 0.02 * (1.0 + np.roll(noise, turn)) for turn, name in enumerate(("tvae", "ctgan", "great"))}
    less |= {"smote": np.zeros(8), "real": np.full(8, -9.0)}
    raw = [stats.ttest_1samp(less[name], 0).pvalue for name in ("tvae", "ctgan", "great")]
    assert max(raw) < 0.05 < max(holm(raw))  # each by itself would do, and together they do not
    for more, best in ((0, set()), (8, {"smote"})):
        for name, values in less.items():
            for seed, value in enumerate(values):
                write_run(tmp_path, {"nrs": 0.7 - float(value)}, generator=name, seed=seed + more)
        cells = column(table_of(tmp_path, NRS), "NRS")
        assert {name for name, cell in cells.items() if cell.best} == best


def test_two_seeds_bear_out_nothing(tmp_path: Path) -> None:
    for seeds, best in ((2, set()), (3, {"tvae"})):
        write_seeds(tmp_path / str(seeds), "nrs", {"smote": 0.1, "tvae": 0.9}, seeds)
        cells = column(table_of(tmp_path / str(seeds), NRS), "NRS")
        assert {name for name, cell in cells.items() if cell.best} == best


def test_a_score_stands_with_its_interval_and_the_seconds_it_took(tmp_path: Path) -> None:
    stages = {
        name: {"seconds": seconds, "cached": False, "key": "k"} for name, seconds in (("fit", 2.5), ("sample", 4))
    }
    for seed, (value, low, high) in enumerate(((0.7, 0.62, 0.78), (0.8, 0.74, 0.88))):
        found = {"mle/f1_macro": value, "mle/f1_macro/low": low, "mle/f1_macro/high": high}
        write_run(tmp_path, found, seed=seed, stages=stages)
    (main, *_) = all_tables(values_of(tmp_path))
    assert main.header == ["dataset", "generator", "MLE ↑", "fit, s ↓", "sample, s ↓"]
    assert [cell.text for cell in main.rows[0]] == [
        "german", "smote", "0.750 ± 0.071 (0.680, 0.830)", "2.500 ± 0.000", "4.000 ± 0.000",
    ]  # fmt: skip
    assert any("MLE: in parentheses" in note for note in main.notes)


def versions(**changed: int) -> dict[str, int]:
    return {"prompts": 1, "fit": 1, "sample": 1, "file": 1, "completion": 1, "evaluate_privacy": 2} | changed


def test_runs_of_older_code_are_rows_of_their_own_and_not_ranked(tmp_path: Path) -> None:
    for seed in range(4):
        told = versions(evaluate_privacy=1) if seed == 3 else versions()
        write_run(tmp_path, {"nrs": 0.9 if seed == 3 else 0.5 + seed / 1000}, seed=seed, stage_versions=told)
        write_run(tmp_path, {"nrs": 0.3}, generator="tvae", seed=seed, stage_versions=versions())
    table = table_of(tmp_path, NRS)
    cells = column(table, "NRS")
    assert cells["smote"].text == "0.501 ± 0.001" and cells["smote"].best
    outdated = cells["smote, outdated: evaluate_privacy 1"]
    assert outdated.text == "0.900 [1]" and outdated.quiet
    assert [row[1].text for row in table.rows][-1] == "smote, outdated: evaluate_privacy 1"
    assert all(each.pairs == 3 for each in compare(values_of(tmp_path), "smote", [NRS]))


def test_older_code_of_one_generator_is_no_fault_of_another(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.5}, stage_versions=versions(sample=3), settings={"_target_": "a.Smote"})
    write_run(tmp_path, {"nrs": 0.5}, generator="tvae", stage_versions=versions(), settings={"_target_": "b.Tvae"})
    assert {record.outdated for record in read_runs([tmp_path])} == {""}


def test_runs_from_before_there_were_versions_are_older_than_all_others(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.5})
    write_run(tmp_path, {"nrs": 0.5}, seed=1)
    assert {record.outdated for record in read_runs([tmp_path])} == {""}  # nothing to be older than
    write_run(tmp_path, {"nrs": 0.5}, seed=2, stage_versions=versions())
    assert [record.outdated for record in read_runs([tmp_path])] == ["completion 0, file 0, fit 0"] * 2 + [""]


def test_the_best_is_that_of_its_dataset(tmp_path: Path) -> None:
    for dataset, smote, tvae in (("adult", 0.1, 0.2), ("german", 0.9, 0.8)):
        write_seeds(tmp_path, "nrs", {"smote": smote, "tvae": tvae}, dataset=dataset)
    rows = table_of(tmp_path, NRS).rows
    assert [(row[0].text, row[1].text, row[2].best) for row in rows] == [
        ("adult", "smote", False), ("", "tvae", True), ("german", "smote", True), ("", "tvae", False),
    ]  # fmt: skip


def test_the_headline_score_is_the_datasets_own(tmp_path: Path) -> None:
    write_run(tmp_path, {"mle/f1_macro": 0.7, "mle/accuracy": 0.1})
    write_run(tmp_path, {"mle/r2": 0.4, "mle/rmse": 2.0}, dataset="abalone", headline=None)
    rows = table_of(tmp_path, MLE).rows
    assert [row[2].text for row in rows] == ["0.400", "0.700"]


def test_a_missing_cell_is_a_dash_with_its_reason_below(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0, "mle/f1_macro": 0.5})
    write_run(tmp_path, {"nrs": None}, generator="tvae", unavailable={"nrs": "the synthetic table has no rows"})
    table = table_of(tmp_path, NRS, MLE)
    assert column(table, "NRS")["tvae"].text == "–" and column(table, "MLE")["tvae"].text == "–"
    assert "– NRS: the synthetic table has no rows (tvae)." in table.notes
    assert "– MLE: not measured (tvae)." in table.notes


def test_a_column_without_any_value_is_left_out_and_told(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0, "dlt": None}, unavailable={"dlt": "needs a language generator"})
    table = table_of(tmp_path, *columns(declared_metrics(), "privacy"))
    assert table.header == ["dataset", "generator", "NRS ↑"]
    assert "DLT: needs a language generator." in table.notes


def test_unfinished_runs_have_no_part_in_the_means(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    write_run(tmp_path, {"nrs": 0.0}, seed=1, **failure())
    assert column(table_of(tmp_path, NRS), "NRS")["smote"].text == "1.000"


def test_trials_of_a_search_are_no_results_and_change_no_label(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.5}, settings={"k": 5})
    for k in (3, 7):
        write_run(tmp_path, {"nrs": 1.0}, settings={"k": k}, run_id=str(k), evaluate_on="validation")
    assert {label: cell.text for label, cell in column(table_of(tmp_path, NRS), "NRS").items()} == {"smote": "0.500"}


def test_two_runs_of_one_seed_are_not_two_seeds(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.2, "wasserstein": 0.3}, run_id="aa")
    write_run(tmp_path, {"nrs": 0.4}, run_id="bb", finished="2026-02-02T00:00:00+00:00")  # with fewer evaluators
    table = table_of(tmp_path, NRS, WD)
    assert column(table, "NRS")["smote"].text == "0.400" and column(table, "WD")["smote"].text == "0.300"


def test_other_settings_are_rows_of_their_own(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path, {"nrs": 0.5}, seed=seed)
    write_run(tmp_path, {"nrs": 0.1}, run_id="bb", n_samples=None, llm="llama")
    table = table_of(tmp_path, NRS)
    assert {label: cell.text for label, cell in column(table, "NRS").items()} == {
        "smote": "0.500 ± 0.000", "smote, llm=llama, rows=as training": "0.100 [1]",
    }  # fmt: skip
    assert "Unless a label says otherwise: llm=tiny, scale=smoke, rows=60." in table.notes


def test_ablations_are_beside_what_they_ablate_and_not_in_the_main_table(tmp_path: Path) -> None:
    for generator in ("harmonic", "harmonic_no_knn", "smote", "real"):
        write_run(tmp_path, {"nrs": 0.5, "wasserstein": 0.1}, generator=generator)
    rows = {table.name: [row[1].text for row in table.rows] for table in all_tables(values_of(tmp_path))}
    assert rows["main"] == ["harmonic", "smote", "real"]
    assert rows["ablation_harmonic"] == ["harmonic", "harmonic_no_knn", "real"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.0, "0.000"), (0.12345, "0.123"), (0.00123, "0.0012"), (-0.000001, "0.0000"),
     (-0.5, "-0.500"), (12.345, "12.35"), (163.71, "163.7"), (4321.9, "4322")],
)  # fmt: skip
def test_numbers_have_the_decimals_that_their_size_asks_for(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("higher", "ideal", "better", "worse"),
    [(True, math.nan, 0.3, 0.2), (False, math.nan, 0.2, 0.3), (None, 0.5, 0.4, 0.7), (False, 0.5, 0.5, 0.6)],
)
def test_goodness_follows_the_declared_direction(
    higher: bool | None, ideal: float, better: float, worse: float
) -> None:
    first, second = goodness(better, higher, ideal), goodness(worse, higher, ideal)
    assert first is not None and second is not None and first > second


def test_nothing_is_better_than_the_ideal() -> None:
    assert goodness(0.3, False, 0.5) == goodness(0.5, False, 0.5)
    assert goodness(0.3, None, math.nan) is None


def write_pairs(outputs: Path, chosen: np.ndarray, other: np.ndarray, metric: str = "nrs") -> None:
    for seed, (first, second) in enumerate(zip(chosen, other, strict=True)):
        write_run(outputs, {metric: float(first)}, generator="harmonic", seed=seed)
        write_run(outputs, {metric: float(second)}, generator="smote", seed=seed)


def test_p_values_are_scipys(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    chosen, other = random.normal(0.5, 0.1, 9), random.normal(0.6, 0.1, 9)
    write_pairs(tmp_path, chosen, other)
    (found,) = compare(values_of(tmp_path), "harmonic", [NRS])
    assert (found.label, found.pairs) == ("smote", 9)
    assert found.difference == pytest.approx((chosen - other).mean())
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(chosen, other).pvalue)
    assert found.t_test == pytest.approx(stats.ttest_rel(chosen, other).pvalue)
    assert (found.wins, found.losses) == (int((chosen > other).sum()), int((chosen < other).sum()))


def test_a_score_of_a_constant_answer_is_marked_and_the_note_says_why(tmp_path: Path) -> None:
    note = "all test rows got the same answer"
    write_run(tmp_path, {"lle/f1_macro": 0.39, "nrs": 1.0}, notes={"lle/f1_macro": note, "nrs": "not shown"})
    write_run(tmp_path, {"lle/f1_macro": 0.39, "nrs": 1.0}, seed=1)
    write_run(tmp_path, {"lle/f1_macro": 0.66, "nrs": 1.0}, generator="tvae")
    table = table_of(
        tmp_path, *(measure for measure in columns(declared_metrics(), "main") if measure.title == "LLE"), NRS
    )
    cells = column(table, "LLE")
    assert cells["smote"].text.startswith("0.390 ± 0.000°") and cells["tvae"].text.startswith("0.660")
    assert "°" not in cells["tvae"].text + "".join(cell.text for cell in column(table, "NRS").values())
    assert f"° LLE: {note} (smote)." in table.notes


def test_where_lower_is_better_a_win_is_the_smaller_value(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.full(6, 0.1), np.linspace(0.2, 0.3, 6), "wasserstein")
    (found,) = compare(values_of(tmp_path), "harmonic", [WD])
    assert (found.wins, found.losses) == (6, 0) and found.difference < 0


def test_of_a_metric_with_an_ideal_in_between_the_distances_to_it_are_compared(tmp_path: Path) -> None:
    chosen, other = np.array([0.5, 0.52, 0.49, 0.5, 0.51, 0.5]), np.array([0.2, 0.9, 0.1, 0.85, 0.2, 0.7])
    write_pairs(tmp_path, chosen, other, "dcr/share")
    (found,) = compare(values_of(tmp_path), "harmonic", [SHARE])
    assert found.wins == 6
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(abs(chosen - 0.5), abs(other - 0.5)).pvalue)


def test_too_few_pairs_are_said_and_no_number_is_given(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.arange(MIN_PAIRS - 1) / 10, np.ones(MIN_PAIRS - 1))
    values = values_of(tmp_path)
    (found,) = compare(values, "harmonic", [NRS])
    assert found.note.startswith("too few pairs") and math.isnan(found.wilcoxon) and math.isnan(found.t_test)
    table = significance_table(values, "harmonic", [NRS])
    assert table is not None and "too few pairs" in table.rows[0][5].text


def test_equal_values_are_no_difference(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.ones(7), np.ones(7))
    (found,) = compare(values_of(tmp_path), "harmonic", [NRS])
    assert found.note == "no difference in any pair"


def test_only_runs_on_the_same_rows_are_paired(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.arange(7) / 10, np.ones(7))
    write_run(tmp_path, {"nrs": 0.5}, generator="harmonic", seed=9, data="some rows")
    write_run(tmp_path, {"nrs": 0.6}, generator="smote", seed=9, data="other rows")
    write_run(tmp_path, {"nrs": 0.6}, generator="smote", seed=10)
    (found,) = compare(values_of(tmp_path), "harmonic", [NRS])
    assert found.pairs == 7


def test_holm_by_hand() -> None:
    # sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 = 0.06, 0.04 * 1 raised to 0.06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, math.nan, 0.7])[0] == 1.0 and math.isnan(holm([0.6, math.nan, 0.7])[1])


def test_p_values_are_corrected_over_the_methods_of_a_measure(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for seed in range(8):
        for generator, shift in (("harmonic", 0.0), ("smote", 0.1), ("tvae", 0.3), ("real", 5.0)):
            write_run(tmp_path, {"nrs": float(random.normal(shift, 0.1))}, generator=generator, seed=seed)
    values = values_of(tmp_path)
    by = {name: part.set_index("seed")["value"].sort_index() for name, part in NRS.of(values).groupby("label")}
    raw = [stats.wilcoxon(by["harmonic"], by[name]).pvalue for name in ("smote", "tvae")]
    found = compare(values, "harmonic", [NRS])
    assert [each.label for each in found] == ["smote", "tvae"]  # an anchor is no competitor
    assert [each.wilcoxon for each in found] == pytest.approx(holm(raw))


def test_published_figures_stand_beside_ours_and_are_never_bold(tmp_path: Path) -> None:
    write_run(tmp_path, {"mle/f1_macro": 0.6}, generator="smote")
    write_run(tmp_path, {"mle/f1_macro": 0.1}, generator="harmonic_no_knn")
    write_run(tmp_path, {"mle/f1_macro": 0.1}, generator="marginals")
    table = published_table(values_of(tmp_path))
    assert table is not None and not any(cell.best for row in table.rows for cell in row)
    ours, theirs = column(table, "MLE"), column(table, "MLE †")
    assert (ours["smote"].text, theirs["smote"].text) == ("0.600", "0.64 ± 0.02")
    assert (ours["harmonic"].text, theirs["harmonic"].text) == ("–", "0.55 ± 0.03")
    assert theirs["harmonic_no_knn"].text == "–" and "marginals" not in ours
    assert "LLaMA-2-7b-chat" in table.notes[0]


def test_there_is_no_such_table_for_data_that_the_paper_has_not(tmp_path: Path) -> None:
    write_run(tmp_path, {"mle/f1_macro": 0.6}, dataset="my churn")
    assert published_table(values_of(tmp_path)) is None


def test_the_published_figures_are_whole_and_name_their_source() -> None:
    path = Path(__file__).resolve().parents[3] / "experiments" / "report" / "paper_tables.csv"
    head, _, rest = path.read_text(encoding="utf-8").partition("dataset,metric")
    assert head.startswith("# ") and "arXiv 2408.02927" in head
    assert len(list(csv.reader(("dataset,metric" + rest).splitlines()))) == len(published_figures()) + 1
    figures = published_figures()
    assert not figures.duplicated(["dataset", "metric", "generator"]).any()
    assert figures["mean"].notna().all() and set(figures["dataset"]) == {"german", "adult", "diabetes", "buddy"}


def nasty_table() -> ResultTable:
    rows = [[Cell(NASTY), Cell("b", best=True), Cell("", quiet=True), Cell("±–", quiet=True)]]
    return ResultTable("na me/x", NASTY, ["dataset", "generator", NASTY, "d ↑"], rows, [NASTY])


def test_latex_escapes_every_character_that_it_would_act_on() -> None:
    text = latex([nasty_table()])
    body = text.partition("\n")[2]
    commands = re.sub(r"\\[&%$#_{}]", "", body)  # escaped ones
    assert "<" not in body and ">" not in body and "^" not in body and "~" not in body and "|" in body
    assert commands.count("{") == commands.count("}")
    assert commands.count("#") == 0 and "%" not in commands and "_" not in commands
    assert commands.count("&") == 2 * 3  # the header and one row of four cells
    assert not re.search(r"\\\\\s*\[", body)


@given(st.text())
def test_latex_leaves_no_command_of_the_user_in(text: str) -> None:
    left = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|dag)\{\}|\\[&%$#_{}]"
        r"|\\textsuperscript\{2\}|\{[][]\}|\$(\\pm|-|\\uparrow|\\downarrow|\\rightarrow|\\alpha|\\beta|\\times)\$",
        "", escape_latex(text),
    )  # fmt: skip
    assert not set(left) & set("\\{}$&#^_%~[]")


def test_markdown_rows_have_as_many_cells_as_the_header() -> None:
    lines = [line for line in markdown([nasty_table()]).splitlines() if line.startswith("| ")]
    assert len(lines) == 3
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {6}


def test_markdown_escapes_markup_and_keeps_names_with_underscores() -> None:
    assert escape_markdown("harmonic_no_knn") == "harmonic_no_knn"
    assert escape_markdown("_x_ *y* <b> a|b\nc") == r"\_x\_ \*y\* \<b\> a\|b c"


def test_bold_and_quiet_cells_are_marked(tmp_path: Path) -> None:
    for generator, value in (("smote", 0.3), ("tvae", 0.2), ("real", 0.1)):
        for seed in range(3):
            write_run(tmp_path, {"wasserstein": value + seed / 1000}, generator=generator, seed=seed)
    tables = all_tables(values_of(tmp_path))[:1]
    assert "| **0.201 ± 0.001** |" in markdown(tables) and "| *real* | *0.101 ± 0.001* |" in markdown(tables)
    assert r"tvae & \textbf{0.201 $\pm$ 0.001}" in latex(tables) and r"\textit{real}" in latex(tables)
    assert r"\toprule" in latex(tables) and r"WD $\downarrow$" in latex(tables)
