"""More rows from a finished run: they satisfy every condition, follow their seed, and leave the run as it was."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
from whole_runs import harmonic

from experiments import sample_again as sampling
from experiments.sample_again import SampleSettings, read_settings, sample_again
from experiments.sample_command import main
from harmonic.decoding.decoder import Decoder
from harmonic.errors import ConfigError, SamplingError

TINY = ["llm=tiny", "scale=smoke", "tracker=off", "data_dir=null", "n_samples=6"]


def run(output: Path, *overrides: str) -> Path:
    """The folder of one run on the packaged data."""
    return harmonic(output, *overrides, base=TINY)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of HARMONIC whose prompts have short names."""
    settings = ["generator.aliases=true", "generator.sampling.attempts=1", "generator.sampling.batch_tokens=2000"]
    settings += ["evaluator=privacy"]
    return run(tmp_path_factory.mktemp("tuned"), *settings)


@pytest.fixture(scope="module")
def resampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a generator that knows no conditions."""
    return run(tmp_path_factory.mktemp("resampled"), "generator=marginals", "stage=sample")


def contents(folder: Path) -> dict[str, bytes]:
    """The run's own files."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "samples"]
    return {str(path): path.read_bytes() for path in files}


ASKED = ["n=7", "seed=3", "condition={Outcome: 1}", "range={Age: [30, 45], DiabetesPedigreeFunction: [null, 0.305]}"]


def satisfies(frame: pd.DataFrame) -> bool:
    held = (frame["Outcome"] == 1) & frame["Age"].between(30, 45) & (frame["DiabetesPedigreeFunction"] <= 0.305)
    return bool(held.all())


def test_a_language_model_is_held_to_the_conditions(tuned: Path, tmp_path: Path) -> None:
    before = contents(tuned)
    csv, about = sample_again(tuned, read_settings(ASKED))
    assert csv.parent == tuned / "samples"
    frame = pd.read_csv(csv)
    assert len(frame) == 7 and satisfies(frame)
    assert list(frame.columns) == list(pd.read_csv(tuned / "synthetic.csv").columns)
    told = json.loads(about.read_text())
    assert told["validity"]["constrained"] + told["validity"]["free"] == told["rows"] == 7
    assert told["seed"] == 3 and told["condition"] == {"Outcome": "1"} and told["training_rows_that_satisfy"] > 5
    assert told["conditions"][:2] == ["Outcome = '1'", "Age from 30.0 to 45.0"]
    # The same again, in another place, is the same rows; the run's own files have not changed, and nothing is left.
    (again, _) = sample_again(tuned, read_settings([*ASKED, f"out={tmp_path / 'again'}"]))
    assert again.name == "again.csv" and again.read_bytes() == csv.read_bytes()
    assert contents(tuned) == before
    left = [path.name for path in (tuned / "samples").iterdir() if path.suffix != ".lock"]  # a lock is an empty file
    assert sorted(left) == sorted([csv.name, about.name])


def test_free_memory_does_not_decide_which_rows_are_drawn(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    own = Decoder.constrained

    def counted(self: Decoder, prompts: Any, *rest: Any) -> Any:
        asked.append(len(prompts))
        return own(self, prompts, *rest)

    monkeypatch.setattr(Decoder, "constrained", counted)
    found = []
    for free in (1.1e6, 1e12):  # half of the first holds 2,000 tokens of the tiny model, 256 bytes each, and no more
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=int(free)))
        (csv, _) = sample_again(tuned, read_settings(["n=12", f"out={tmp_path / str(free)}"]))
        found.append((csv.read_bytes(), asked[:]))
        asked.clear()
    assert found[0] == found[1] and len(found[0][1]) > 1


def test_the_run_shows_short_names_in_its_prompts_and_its_own_everywhere_else(tuned: Path) -> None:
    prompt = json.loads((tuned / "prompts" / "sample.jsonl").read_text().splitlines()[0])["prompt"]
    assert "Diabetes" in prompt.splitlines()[1].split("|") and "DiabetesPedigreeFunction" not in prompt
    report = json.loads((tuned / "report.json").read_text())
    assert report["prompts"]["k"] == report["prompts"]["wanted"] == 5
    assert report["prompts"]["aliases"]["DiabetesPedigreeFunction"] == "Diabetes"
    assert "DiabetesPedigreeFunction" in (tuned / "synthetic.csv").read_text()
    assert isinstance(report["metrics"]["dlt"], float)  # rows are scored under the short names


def test_a_generator_that_knows_no_conditions_draws_until_enough_rows_satisfy(resampled: Path) -> None:
    csv, about = sample_again(resampled, read_settings(ASKED))
    frame = pd.read_csv(csv)
    assert len(frame) == 7 and satisfies(frame)
    validity = json.loads(about.read_text())["validity"]
    assert validity["answers"] == pytest.approx(validity["rejected/condition"] + validity["raw"] * validity["answers"])
    with pytest.raises(SamplingError, match=r"Outcome = '1'.* of 9 drawn"):
        sample_again(resampled, read_settings([*ASKED, "budget=9"]))


def test_two_that_draw_the_same_rows_take_turns(resampled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a folder of finished batches; before, one removed it while the other drew."""
    at_once, most = 0, 0
    drawn = sampling._drawn

    def counted(*given: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.3)
        try:
            return drawn(*given)
        finally:
            at_once -= 1

    monkeypatch.setattr(sampling, "_drawn", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(sample_again, [resampled] * 2, [SampleSettings(seed=5)] * 2)
    assert most == 1 and first == second and len(pd.read_csv(first[0])) == 6


def test_seeds_give_other_rows_than_each_other_and_the_run(resampled: Path) -> None:
    drawn = [pd.read_csv(sample_again(resampled, SampleSettings(seed=seed))[0]) for seed in (0, 1)]
    own = pd.read_csv(resampled / "synthetic.csv")
    assert all(len(frame) == len(own) == 6 for frame in drawn)
    assert not drawn[0].equals(drawn[1]) and not drawn[0].equals(own)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["condition={Outcom: 1}"], "did you mean 'Outcome'"),
        (["condition={Outcome: 2}"], "condition={Outcome: 2}"),
        (["range={Age: [50, 20]}"], "the low end is above the high end"),
        (["range={Age: [100, null]}"], "21.0 to 81.0"),
        (["condition=1"], "must name columns"),
        (["condition={Age: "], "cannot be read"),
        (["n=many"], "n=many: cannot be read"),
        (["n=0"], "n=0: must be at least 1"),
        (["size=3"], "size=3: unknown setting"),
        (["temperature=0.9"], "marginals has none"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_loaded(
    resampled: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> None:
        pytest.fail("the generator is loaded")

    monkeypatch.setattr("baselines.anchors.Marginals.load", load)
    with pytest.raises(SystemExit) as left:
        main([str(resampled), *words])
    assert left.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error and "fix" in error


def test_the_runs_own_files_and_folders_that_are_no_runs_are_refused(resampled: Path, tmp_path: Path) -> None:
    before = contents(resampled)
    with pytest.raises(ConfigError, match="among the run's own files"):
        sample_again(resampled, SampleSettings(out=str(resampled / "synthetic.csv")))
    assert contents(resampled) == before
    with pytest.raises(ConfigError, match="is no run's folder"):
        sample_again(tmp_path, SampleSettings())
    (tmp_path / "report.json").write_text(json.dumps({"stages": {}, "status": "failed"}))
    with pytest.raises(ConfigError, match="nothing is fitted in it: its status is failed"):
        sample_again(tmp_path, SampleSettings())


def test_changed_data_is_noticed(resampled: Path, tmp_path: Path) -> None:
    report = json.loads((resampled / "report.json").read_text())
    folder = tmp_path / "runs" / "diabetes" / "marginals" / resampled.name
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({**report, "data": "0" * 64}))
    with pytest.raises(ConfigError, match="are not those that the run learnt from"):
        sample_again(folder, SampleSettings())


def test_a_cleared_cache_leaves_the_adapter_and_the_prompts_in_the_runs_folder(tuned: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "runs" / "diabetes" / "harmonic" / tuned.name
    shutil.copytree(tuned, folder)
    words = ["n=2", "seed=1", "temperature=1.2", f"out={tmp_path / 'new.csv'}"]
    (csv, about) = sample_again(folder, read_settings(words))
    assert len(pd.read_csv(csv)) == 2 and json.loads(about.read_text())["temperature"] == 1.2
    shutil.rmtree(folder / "adapter")
    with pytest.raises(ConfigError, match="fit is gone"):
        sample_again(folder, read_settings(words))


def test_values_stay_the_texts_that_they_are() -> None:
    wanted = read_settings(["condition={Job: no, Day: 2024-01-31, Level: [01, 1.0]}", "range={Age: [18, null]}"])
    assert wanted.condition == {"Job": "no", "Day": "2024-01-31", "Level": ["01", "1.0"]}
    assert wanted.range == {"Age": ["18", "null"]}
