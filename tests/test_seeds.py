"""Seeds by one rule: whoever draws names the draw (harmonic/randomness.py). Read off the source."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEEDING = {"default_rng", "RandomState", "manual_seed", "seeded", "SeedSequence", "PCG64"}
"""Functions whose first argument is a seed."""
SEED_SETTINGS = {"random_state", "random_seed", "data_seed", "rng"}
"""What foreign libraries call the seed that they are given."""

EXCEPTIONS = {
    "harmonic/randomness.py": "the rule itself",
    "harmonic/prompts/published_rows.py": "prompts with the published code's draws equal the published files",
    "harmonic/llm/tiny_model.py": "the weights of a model of tests are the setting weights_seed itself",
}


@functools.cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    """(path, syntax tree) of every file that may draw."""
    paths = [path for folder in ("harmonic", "baselines", "experiments") for path in (ROOT / folder).rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(paths)}
    words = (*SEEDING, *SEED_SETTINGS, "derive")
    return tuple((path, ast.parse(text)) for path, text in texts.items() if any(word in text for word in words))


def called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def bare(node: ast.expr) -> bool:
    """Whether the expression is a seed that was not derived; a generator, or what a derived seed was named, is not."""
    if isinstance(node, ast.Call):
        return called(node.func) not in {"derive", *SEEDING}
    return not isinstance(node, ast.Name | ast.Attribute) or "seed" in called(node).lower()


def seeds_used(tree: ast.Module) -> Iterator[tuple[int, ast.expr]]:
    """(line, expression) of everything that is given as a seed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if called(node.func) in SEEDING and node.args:
                yield node.lineno, node.args[0]
            yield from ((node.lineno, word.value) for word in node.keywords if word.arg in SEED_SETTINGS)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in SEED_SETTINGS:
                    yield node.lineno, value


def test_no_seed_is_used_as_it_is() -> None:
    found = [
        f"{path}:{line}: {ast.unparse(seed)}"
        for path, tree in sources()
        if path not in EXCEPTIONS
        for line, seed in seeds_used(tree)
        if bare(seed)
    ]
    assert not found, 'derive(seed, "name") instead of:\n' + "\n".join(found)


def test_every_exception_is_still_one() -> None:
    for excepted in EXCEPTIONS:
        lines = [seed for path, tree in sources() if path == excepted for _, seed in seeds_used(tree)]
        assert any(map(bare, lines)), f"{excepted} follows the rule now: take it off the list"


def named_draws() -> dict[str, list[str]]:
    """Where each name stands, of the names that are given as they are."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node.func) == "derive":
                names = [part.value for part in node.args[1:] if isinstance(part, ast.Constant)]
                if names:
                    found["/".join(map(str, names))].append(f"{path}:{node.lineno}")
    return dict(found)


def test_no_two_draws_have_one_name() -> None:
    found = named_draws()
    assert len(found) > 30, found
    twice = {name: places for name, places in found.items() if len(places) > 1}
    listed = "\n".join(f"{name}: {', '.join(places)}" for name, places in sorted(found.items()))
    assert not twice, f"used twice: {sorted(twice)}; all names:\n{listed}"


def test_a_bare_seed_is_told_from_a_derived_one() -> None:
    texts = {
        "np.random.default_rng(seed)": 1,
        "np.random.default_rng(0)": 1,
        "np.random.default_rng([1, seed])": 1,
        "forest(random_state=seed)": 1,
        "torch.manual_seed(self.seed + 1)": 1,
        "{'random_state': SEED}": 1,
        "np.random.default_rng(derive(seed, 'x'))": 0,
        "bootstrap(rng=np.random.default_rng(derive(seed, 'x')))": 0,
        "forest(random_state=random)": 0,
        "{'random_state': derive(seed, 'x')}": 0,
    }
    for text, expected in texts.items():
        assert sum(bare(seed) for _, seed in seeds_used(ast.parse(text))) == expected, text
