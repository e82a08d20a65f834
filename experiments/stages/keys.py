"""What each stage of a run depends on: the inputs from which its key in the stage cache is made.

Everything that can change a stage's result must be here: if a setting or an input were missing, a run would use the
result of another run. Settings of the machine (output_dir, launcher, tracker) are left out on purpose.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harmonic.evaluation.base import Evaluator
from harmonic.generators.base import Generator
from harmonic.prompts import covering
from harmonic.runs.identity import without_module_paths
from harmonic.tables import training_view
from harmonic.tables.missing_values import Imputation
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.splits import Splits
from harmonic.tables.training_view import for_generators

Inputs = dict[str, Any]

SHAPE_PROMPTS = {
    "tuning": ("passes", "max_tokens", "validation"),
    "sampling": ("context", "first_round", "label", "shown", "pool", "rows_per_prompt", "max_new_tokens"),
}
"""The settings of tuning and sampling that prompts depend on."""


def stage_versions(generator: type[Generator], evaluators: Mapping[str, type[Evaluator]]) -> dict[str, int]:
    """The version of each stage's code, as declared beside the code."""
    own = generator.versions
    found = {"prompts": own.prompts, "fit": own.fit, "sample": own.sample}
    found |= {"file": FileLayout.version, "completion": Imputation.version, "columns": training_view.VERSION}
    return found | {f"evaluate_{name}": evaluator.version for name, evaluator in evaluators.items()}


def configured_versions(config: Mapping[str, Any]) -> dict[str, int]:
    """`stage_versions` of the classes in a run's resolved configuration. Raises an error if a class does not exist."""
    from hydra.utils import get_class

    evaluators = {name: get_class(part["_target_"]) for name, part in config["evaluator"].items()}
    return stage_versions(get_class(config["generator"]["_target_"]), evaluators)


@dataclass(frozen=True)
class StageInputs:
    """The inputs of each stage of one run. `versions`: its `stage_versions`; `n`: the number of rows to draw.

    `config` is the run's resolved configuration. The modules of its classes are not part of a key.
    """

    config: dict[str, Any]
    splits: Splits
    n: int
    seed: int
    versions: Mapping[str, int]

    def prompts(self) -> Inputs:
        """The generator's settings (of tuning and sampling only those that shape prompts), and the columns it sees."""
        settings = without(self._settings("generator"), "tuning", "sampling")
        for part, names in SHAPE_PROMPTS.items():
            given = self._settings("generator").get(part) or {}
            settings[part] = {name: given[name] for name in names if name in given}
        return self._common("prompts") | self._columns | self._large | {"generator": settings, "n": self.n}

    def fit(self, train_digest: str | None, validation_digest: str | None) -> Inputs:
        """All settings of the generator except sampling, digests of train.jsonl and validation.jsonl, and the limit."""
        settings = without(self._settings("generator"), "sampling")
        minutes = self.config.get("minutes")
        return (
            self._common("fit")
            | self._columns
            | {"generator": settings, "prompts": train_digest, "validation": validation_digest}
            | ({} if minutes is None else {"minutes": minutes})
        )

    def sample(self, fit_key: str, sample_digest: str | None) -> Inputs:
        """The fit, the sampling settings, a digest of sample.jsonl, and the form of the synthetic file."""
        return self._common("sample") | {
            "fit": fit_key, "sampling": self._settings("generator").get("sampling"), "prompts": sample_digest,
            "n": self.n, "file": self._file(),
        }  # fmt: skip

    def evaluate(self, name: str, fit_key: str, sample_digest: str | None, csv_digest: str) -> Inputs:
        """The evaluator's settings, the synthetic rows, and their prompts."""
        return self._common(f"evaluate_{name}") | {
            "fit": fit_key, "sampling": self._settings("generator").get("sampling"), "prompts": sample_digest,
            "synthetic": csv_digest, "evaluator": self._settings("evaluator")[name], "on": self.config["evaluate_on"],
        }  # fmt: skip

    def _settings(self, group: str) -> dict[str, Any]:
        found: dict[str, Any] = without_module_paths(self.config[group])
        return found

    @functools.cached_property
    def _columns(self) -> Inputs:
        """The columns as the generator sees them, if it sees less than there is in all rows."""
        seen, whole = (repr(schema) for schema in (for_generators(self.splits).schema, self.splits.schema))
        return {} if seen == whole else {"columns": hashlib.sha256(seen.encode()).hexdigest()[:16]}

    @functools.cached_property
    def _large(self) -> Inputs:
        """Of a large table only as many prompts are written as tuning uses."""
        if len(self.splits.train) <= covering.LARGE:
            return {}
        most = (self._settings("generator").get("tuning") or {}).get("max_examples")
        return {"large": {"version": covering.VERSION, "max_examples": most}}

    @functools.cached_property
    def _rows(self) -> str:
        return self.splits.rows_fingerprint()

    def _common(self, stage: str) -> Inputs:
        return {
            "version": self.versions[stage], "completion": self.versions["completion"],
            "data": self._rows, "seed": self.seed,
        }  # fmt: skip

    def _file(self) -> Inputs:
        """Everything that determines the columns, the identifiers and the format of the synthetic file."""
        layout = self.splits.layout
        return {"version": self.versions["file"], "layout": layout.fingerprint() if layout else None}


def without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The settings without these keys."""
    return {key: value for key, value in settings.items() if key not in names}
