"""AIM: noisy marginals, each chosen where the current model is worst, and a graphical model that is fitted to them.

McKenna, Mullins, Sheldon, Miklau, VLDB 2022, arXiv 2201.12677. Its parts (scores, choice, accounting, the graphical
model and how it is fitted) are those that synthcity ships, in the maintained fork `schneiderkamplab-synthcity`
(Apache-2.0; from private-pgm, Apache-2.0). The loop that joins them is here.

synthcity 0.2.16's own plugin `aim` is not used. It does not run with SciPy 1.17, and its promise does not hold: it runs
the mechanism again for each draw, and until enough rows are within the training rows' ranges, so each draw spends the
budget again; it treats the distinct values of the rows as public; and it keeps the rows in its file. Here the mechanism
runs once, when the generator is fitted, on codes that depend only on the schema (see domain.py). Only its graphical
model is kept, and any number of rows can be drawn from it at no cost to the budget.

The guarantee: (epsilon, delta)-differential privacy for one row more or less. Its conditions are in
conf/generator/aim.yaml.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from annotated_types import Ge

from baselines.private_marginals.domain import Domain
from baselines.synthcity.plugins import imported, quiet
from harmonic.errors import ConfigError, DataError
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive, seeded
from harmonic.settings import Between, Count, Positive
from harmonic.tables.splits import Splits

Marginal = tuple[str, ...]

_FILE = "model.pkl"
_MODULE = "synthcity.plugins.core.models.aim"
_FOR_NOISE = 0.9  # of the budget, the paper's share; the rest is for choosing


@dataclass(kw_only=True)
class AimGenerator(Generator):
    """AIM.

    epsilon, delta: of the guarantee. bins: see Domain. degree: columns of the wanted marginals (those of fewer columns
    are candidates, too). max_cells: marginals with more cells are not used. max_model_size: of the graphical model,
    MiB. rounds_per_column: the planned number of marginals for each column; fewer are measured if the noise is too
    large for what they show. iterations: the most for each fit of the graphical model; two and a half times as many for
    the last one. These two and max_model_size decide how long fitting takes.
    """

    takes_gaps: ClassVar[bool] = (
        True  # missing values have a code: filling them from other rows would break the guarantee
    )
    versions: ClassVar[Versions] = Versions()

    epsilon: Positive = 1.0
    delta: Between = 1e-5
    bins: Annotated[int, Ge(2)] = 16
    degree: Annotated[int, Ge(2)] = 2
    max_cells: Count = 10_000
    max_model_size: Positive = 80.0
    rounds_per_column: Count = 16
    iterations: Count = 1000

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Only check: raises ConfigError if synthcity is missing, DataError if no marginal is small enough."""
        imported(_MODULE, "generator", "aim")
        self._wanted(Domain(splits.schema, self.bins))

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Run the mechanism once; write its graphical model. Facts: how many marginals were measured, and rho spent."""
        from synthcity.utils.serialization import save_to_file

        domain = Domain(splits.schema, self.bins)
        codes = pd.DataFrame(domain.encode(splits.train.frame), columns=_names(domain))
        wanted = self._wanted(domain)
        with Progress("fit", 1.0, "of the budget") as progress, quiet(), seeded(derive(seed, "aim")):
            model, facts = _mechanism(self, codes, domain.sizes, wanted, progress)
        save_to_file(directory / _FILE, model)
        return facts

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the graphical model back."""
        imported(_MODULE, "generator", "aim")
        from synthcity.utils.serialization import load_from_file

        self._domain = Domain(splits.schema, self.bins)
        with quiet():
            self._model = load_from_file(directory / _FILE)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n independent rows from the model."""
        with quiet(), seeded(derive(seed, "aim", "sample")):
            drawn = self._model.synthetic_data(rows=n, method="sample").df
        codes = drawn.sort_index()[_names(self._domain)].to_numpy(np.int64)
        return Sample(self._domain.decode(codes, np.random.default_rng(derive(seed, "aim", "numbers"))))

    def _wanted(self, domain: Domain) -> list[Marginal]:
        """The marginals that the rows should match. Raises ConfigError, DataError."""
        sizes = dict(zip(_names(domain), domain.sizes, strict=True))
        if len(sizes) < self.degree:
            problem = f"the table has {len(sizes)} columns"
            raise ConfigError("generator.degree", self.degree, problem, "generator.degree=2")
        wanted = list(itertools.combinations(sizes, self.degree))
        small = [names for names in wanted if math.prod(sizes[name] for name in names) <= self.max_cells]
        for column, name in zip(domain.schema.columns, sizes, strict=True):
            if not any(name in names for names in small):
                raise DataError(
                    f"column {column.name!r} has {sizes[name]:,} values: marginals with it have more than "
                    f"{self.max_cells:,} cells\n  fix: drop the column (dataset.columns), or raise generator.max_cells"
                )
        return small


def _mechanism(
    settings: AimGenerator,
    codes: pd.DataFrame,
    sizes: list[int],
    wanted: list[Marginal],
    progress: Progress,
) -> tuple[Any, dict[str, float]]:
    """Algorithm 4 of the paper: the graphical model, how many marginals were measured, and rho spent.

    Rho is that of zero-concentrated differential privacy, which gives (epsilon, delta). Noise of standard deviation
    sigma on counts that a row changes by one costs 1 / (2 sigma²); a choice with epsilon costs epsilon² / 8.
    """
    from synthcity.plugins.core.models.aim import AIM, compile_workload, filter_candidates
    from synthcity.plugins.core.models.mbi.dataset import Dataset
    from synthcity.plugins.core.models.mbi.domain import Domain as Cells

    rows = Dataset(codes, Cells(list(codes), sizes))
    chooser = AIM(settings.epsilon, settings.delta)  # knows rho, and how to choose
    candidates = compile_workload(wanted)
    answers: dict[Marginal, Any] = {names: rows.project(names).datavector() for names in candidates}
    engine = _engine(rows.domain, settings.iterations)
    budget, spent = chooser.rho, 0.0
    sigma, epsilon = _rates(budget / (settings.rounds_per_column * len(sizes)))  # each column for itself fits in
    measured: list[tuple[None, Any, float, Marginal]] = []

    def measure(names: Marginal) -> None:
        measured.append((None, answers[names] + np.random.normal(0, sigma, answers[names].size), sigma, names))

    for names in candidates:
        if len(names) == 1:
            measure(names)
            spent += 0.5 / sigma**2
    model = engine.estimate(measured)
    last = False
    while not last:
        last = budget - spent < 2 * (0.5 / sigma**2 + epsilon**2 / 8)
        if last:  # one more round with what is left
            sigma, epsilon = _rates(budget - spent)
        spent += 0.5 / sigma**2 + epsilon**2 / 8
        small = filter_candidates(candidates, model, settings.max_model_size * spent / budget)
        names = chooser.worst_approximated(small, answers, model, epsilon, sigma)
        before = model.project(names).datavector()
        measure(names)
        engine.iters = int(settings.iterations * (2.5 if last else 1))
        model = engine.estimate(measured)
        change = np.linalg.norm(model.project(names).datavector() - before, 1)
        if change <= sigma * np.sqrt(2 / np.pi) * before.size:  # less than noise alone would bring
            sigma, epsilon = sigma / 2, epsilon * 2
        progress.advance(spent / budget - progress.done, marginals=1)
    return model, {"marginals": float(len(measured)), "rho": spent}


def _engine(cells: Any, iterations: int) -> Any:
    """The object that fits a graphical model to noisy marginals, by mirror descent from the previous model.

    synthcity's own descent never makes its steps longer: after a thousand steps the model is still nearly uniform.
    private-pgm's doubles each good step, and so does this one.
    """
    from synthcity.plugins.core.models.mbi.inference import FactoredInference

    class Engine(FactoredInference):
        def mirror_descent(self, measurements: Any, total: float | None = None, **_: Any) -> None:
            self._setup(measurements, total)
            model = self.model
            theta, step = model.potentials, 1.0 / model.total**2
            mu = model.belief_propagation(theta)
            loss, slope = self._marginal_loss(mu)
            for _turn in range(self.iters):
                before, start = loss, mu
                step *= 2
                for _halving in range(25):
                    tried = theta - step * slope
                    mu = model.belief_propagation(tried)
                    loss, new_slope = self._marginal_loss(mu)
                    if before - loss >= 0.5 * step * slope.dot(start - mu):
                        break
                    step /= 2
                theta, slope = tried, new_slope
                if before - loss <= 1e-6 * before:  # nothing is gained any more
                    break
            model.potentials, model.marginals = theta, mu

    return Engine(cells, iters=iterations, warm_start=True)


def _rates(rho: float) -> tuple[float, float]:
    """The noise, and the epsilon of the choice, with which a round has this cost."""
    return math.sqrt(1 / (2 * _FOR_NOISE * rho)), math.sqrt(8 * (1 - _FOR_NOISE) * rho)


def _names(domain: Domain) -> list[str]:
    return [f"c{place}" for place in range(len(domain.sizes))]
