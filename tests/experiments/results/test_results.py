"""A comparison's results as files: the frame keeps all, the pictures follow from it, what is missing is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sweeps import failure, write_run

from experiments.report.figures import PALETTES
from experiments.report.labelled_results import measured
from experiments.results import frame as frames
from experiments.results.command import HERE, made, main, make_results
from experiments.results.page import by_method, compared
from experiments.results.pictures import front_of, methods_of, spent_in_words
from harmonic.errors import ConfigError

TABLES, METHODS = ("german", "diabetes", "wine"), ("harmonic_dense", "smote", "tvae", "real", "holdout")
SHIPPED = sorted(path.parent for path in HERE.glob(f"*/{frames.FILE}"))


def numbers(method: int, table: int, seed: int) -> dict[str, float | None]:
    utility = 0.5 + 0.1 * method + 0.02 * table + 0.001 * seed
    worst = 1.0 if method == 3 else 0.5 + 0.03 * method + 0.002 * seed
    return {
        "mle/f1_macro": utility, "mle/f1_macro/low": utility - 0.05, "mle/f1_macro/high": utility + 0.05,
        "mia/worst": worst, "c2st": 0.2 + 0.1 * method, "wasserstein": 0.1, "dlt": None,
    }  # fmt: skip


def write_comparison(outputs: Path, **changes: Any) -> Path:
    for position, table in enumerate(TABLES):
        for number, method in enumerate(METHODS):
            for seed in range(3):
                write_run(
                    outputs, numbers(number, position, seed), dataset=table, generator=method, seed=seed,
                    versions={"python": "3.11.7", "torch": "2.0"},
                    machine={"cpu": "some processor", "cores": 2, "memory_gb": 24}, **changes,
                )  # fmt: skip
    return outputs / "main"


def test_the_pictures_are_a_function_of_the_frame(tmp_path: Path) -> None:
    folder = tmp_path / "2026-11-26"
    written = make_results([write_comparison(tmp_path)], folder)
    assert [path.name for path in written] == [frames.FILE, "front.svg", "ranks.svg", "README.md"]
    before = {path.name: path.read_text() for path in written[1:]}
    assert made(frames.read(folder), folder=folder) == before
    make_results([folder])  # anew, from its own frame
    assert {path.name: path.read_text() for path in written[1:]} == before


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_shipped_pictures_are_what_their_frame_gives(folder: Path) -> None:
    texts = {name: text for name, text in made(frames.read(folder), folder=folder).items() if name.endswith(".svg")}
    assert texts and {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")} == texts


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_ships_is_small_and_names_no_place_of_the_machine(folder: Path) -> None:
    assert (folder / frames.FILE).stat().st_size < 2_000_000
    frame = frames.read(folder)
    texts = pd.concat([frame[name] for name in ("error", "reason", "folder", "dataset", "note")]).dropna().astype(str)
    assert not texts.str.contains(r"(?:^|\s)/(?:tmp|home|root|work)/").any()


def test_another_frame_gives_another_picture(tmp_path: Path) -> None:
    frame = frames.collect([write_comparison(tmp_path)])
    moved = frame.assign(value=frame["value"].where(frame["metric"] != "mia/worst", frame["value"] * 1.01))
    assert made(frame)["front.svg"] == made(frame.copy())["front.svg"] != made(moved)["front.svg"]


def test_the_frame_survives_its_file(tmp_path: Path) -> None:
    frame = frames.collect([write_comparison(tmp_path)])
    path = frames.write(frame, tmp_path)
    pd.testing.assert_frame_equal(frames.read(tmp_path), frame, check_dtype=False)
    assert path.stat().st_size < 40_000
    assert set(frame["versions"]) == {'{"python": "3.11.7", "torch": "2.0"}'}
    assert frames.machines(frame) == ["some processor, 2 cores, 24 GB of memory"]
    assert frames.versions(frame) == {"python": ["3.11.7"], "torch": ["2.0"]}


def test_paths_of_the_machine_stay_behind(tmp_path: Path) -> None:
    outputs = write_comparison(tmp_path)
    write_run(tmp_path, {}, generator="great", **failure(message=f"no room in {tmp_path}/main\n  fix: free some"))
    frame = frames.collect([outputs])
    text = frame.to_csv()
    assert str(tmp_path) not in text and "main/german/smote/seed0-00c0ffee" in text
    assert "no room in …" in text and "free some" not in text


def test_cells_without_a_finished_run_are_told_with_the_reason(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    for seed in range(2):
        write_run(tmp_path, {}, dataset="wine", generator="great", seed=seed, **failure())
    late = {
        "stage": "fit",
        "type": "OverTimeError",
        "message": "fitting did not end within 10 minutes",
        "traceback": "",
    }
    write_run(tmp_path, {}, dataset="german", generator="great", status="failed", error=late)
    write_run(tmp_path, {}, dataset="diabetes", generator="great", status="running")
    jobs = tmp_path / "sweeps" / "1" / "jobs"
    jobs.mkdir(parents=True)
    for number, (name, experiment) in enumerate({"buddy": "main", "adult": "other"}.items()):
        words = [f"experiment={experiment}", f"dataset={name}", "generator=smote", "seed=0"]
        record = {"number": number, "overrides": words, "status": "failed", "error": "ConfigError: no rows"}
        (jobs / f"{number}.json").write_text(json.dumps(record))
    found = frames.missing_cells(frames.collect([tmp_path / "main"]))
    assert ("wine", "great", "0, 1", "failed: fit: ConfigError: too long") in found
    assert ("wine", "great", "2", "not run after seeds 0, 1 failed") in found
    assert ("german", "great", "1, 2", "not run after seed 0 failed") in found
    assert (
        "german",
        "great",
        "0",
        "exceeded the time limit: fit: OverTimeError: fitting did not end within 10 minutes",
    ) in found
    assert ("diabetes", "great", "0", "stopped before its end") in found
    assert ("diabetes", "great", "1, 2", "not run") in found
    assert (
        "buddy",
        "smote",
        "0",
        "failed: ConfigError: no rows (experiment=main dataset=buddy generator=smote seed=0)",
    ) in found
    assert not any(cell[0] == "adult" for cell in found)  # of another experiment
    assert not any(cell[1] == "tvae" and cell[0] != "buddy" for cell in found)


def test_the_page_says_what_is_best_only_where_it_holds(tmp_path: Path) -> None:
    frame = frames.collect([write_comparison(tmp_path)])
    page = made(frame)["README.md"]
    # Three methods in the same order on three tables: Friedman's p is .0498, and Nemenyi tells first and last apart.
    assert "utility: no method is best: the differences between tvae, smote are not significant" in page
    assert "is best" not in page.replace("no method is best", "")
    assert "(3 tables, Friedman p = 0.050; critical difference 1.91)" in page


def test_the_front_is_of_means_over_seeds_and_anchors_have_no_part_in_it(tmp_path: Path) -> None:
    values = measured(frames.collect([write_comparison(tmp_path)]))
    methods = methods_of(values, "german")
    smote = next(one for one in methods if one.label == "smote")
    assert smote.utility.mean == pytest.approx(0.601) and smote.risk.mean == pytest.approx(0.532)
    assert smote.risk.std == pytest.approx(0.002) and smote.seconds == pytest.approx(2.5)
    assert [one.label for one in front_of(methods)] == ["harmonic_dense", "smote", "tvae"]


def test_a_method_that_is_far_less_useful_does_not_press_the_others_together(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    assert re.findall(r"tabsyn|\(-?\d[.\d]*\)", made(frames.collect([tmp_path]))["front.svg"]) == []
    write_run(tmp_path, {**numbers(1, 0, 0), "mle/f1_macro": -5.0}, generator="tabsyn")
    picture = made(frames.collect([tmp_path]))["front.svg"]
    assert re.findall(r"\(-?\d[.\d]*\)", picture) == ["(-5.00)"] and "tabsyn (-5.00)" in picture
    places = [float(place) for place in re.findall(r">\N{MINUS SIGN}?(\d\.\d+)</text>", picture)]
    assert max(places) < 2, "no tick of the axes is near -5"


def test_settings_that_differ_from_table_to_table_do_not_make_methods(tmp_path: Path) -> None:
    for table, rows in {"german": 2, "wine": 4}.items():
        settings = {"rows_per_prompt": rows}
        write_run(tmp_path, numbers(0, 0, 0), dataset=table, generator="harmonic_dense", settings=settings)
    values, remarks = by_method(measured(frames.collect([tmp_path])))
    assert set(values["label"]) == {"harmonic_dense"}
    assert remarks == [
        "harmonic_dense on german: rows_per_prompt=2.", "harmonic_dense on wine: rows_per_prompt=4.",
    ]  # fmt: skip


def test_two_settings_on_one_table_stay_two_methods(tmp_path: Path) -> None:
    for seed, rows in enumerate((2, 4)):
        write_run(
            tmp_path,
            numbers(0, 0, 0),
            generator="harmonic_dense",
            settings={"rows_per_prompt": rows},
            run_id=f"{seed:08}",
        )
    frame = frames.collect([tmp_path])
    values, remarks = by_method(measured(frame))
    assert len(set(values["label"])) == 2 and remarks == []
    assert "harmonic_dense with rows_per_prompt=2 (" in made(frame)["README.md"]


def test_fits_that_the_limit_ended_are_told(tmp_path: Path) -> None:
    stages = {"fit": {"seconds": 600.0, "cached": False, "key": "k", "ended_by_time": True}}
    write_comparison(tmp_path)
    write_run(tmp_path, numbers(1, 0, 0), generator="tabsyn", stages=stages)
    frame = frames.collect([tmp_path])
    assert frames.ended_by_time(frame) == ["tabsyn on german"]
    assert "this limit ended the training of tabsyn on german" in made(frame)["README.md"]


def test_methods_without_a_table_are_named_and_not_ranked(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    write_run(tmp_path, numbers(4, 0, 0), generator="tabsyn")
    found = compared(frames.collect([tmp_path]))
    assert all("tabsyn" in one.left_out and "tabsyn" not in one.methods for one in found.rankings)


def test_the_command_writes_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = write_comparison(tmp_path)
    main([str(outputs)])
    assert f"wrote {outputs / 'results' / 'front.svg'}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(outputs), "--against", "smot"])
    assert "--against=smot: no finished run is called that" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"outputs=.*empty: "):
        (tmp_path / "empty").mkdir()
        make_results([tmp_path / "empty"])


def test_nothing_finished_is_an_error_that_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, {}, **failure())
    with pytest.raises(ConfigError, match="no run of these finished"):
        make_results([tmp_path])


def test_pictures_that_stand_alone_have_the_pages_colours() -> None:
    template = (HERE.parent / "report" / "page.html.jinja").read_text(encoding="utf-8")
    light, dark = template.split("@media (prefers-color-scheme: dark)")[:2]
    for text, palette in ((light, PALETTES["light"]), (dark.partition("} }")[0], PALETTES["dark"])):
        for name, colour in palette.items():
            assert f"{name}: {colour};" in text, name


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "< 1 s"), (41.4, "41 s"), (600, "10 min"), (9000, "2.5 h")])
def test_time_in_words(seconds: float, words: str) -> None:
    assert spent_in_words(seconds) == words


def test_runs_on_a_gpu_are_named_if_others_had_none(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    assert frames.on_gpu(frames.collect([tmp_path])) == []
    for seed in (1, 2):
        machine = {"cpu": "another", "cores": 16, "memory_gb": 126, "gpu": "a card"}
        write_run(tmp_path, numbers(1, 0, seed), generator="tabsyn", seed=seed, machine=machine)
    frame = frames.collect([tmp_path])
    assert frames.on_gpu(frame) == ["tabsyn (seeds 1, 2): a card"]
    assert "seconds cannot be compared. On a GPU: tabsyn (seeds 1, 2): a card." in made(frame)["README.md"]
    assert frames.on_gpu(frame[frame["generator"] == "tabsyn"]) == []


def test_settings_that_a_method_was_given_are_told(tmp_path: Path) -> None:
    write_comparison(tmp_path)
    assert frames.given_settings(frames.collect([tmp_path])) == []
    given = ["generator=tabsyn", "+generator.sampling.mode=constrained", "tracker=off"]
    for table in ("wine", "german"):
        write_run(tmp_path, numbers(1, 0, 0), dataset=table, generator="tabsyn", overrides=given)
    frame = frames.collect([tmp_path])
    assert frames.given_settings(frame) == ["tabsyn on german, wine: generator.sampling.mode=constrained"]
    page = made(frame)["README.md"]
    assert "Settings given to some methods: tabsyn on german, wine: generator.sampling.mode=constrained." in page
    assert made(frame.drop(columns="settings"))  # a frame of an older version
