"""The documentation is whole: every page is in the navigation, every link leads somewhere, every command is one."""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from pages import DOCS, PAGES, README, ROOT, blocks, called, commands, files_in, pages, prose

from experiments.configuration.hydra_errors import resolved
from experiments.docs.made_pages import MADE, filled, newest_results
from experiments.docs.setting_entries import entries, run_entries, sizes
from experiments.docs.setting_meanings import in_docstring
from experiments.docs.settings_reference import CHOICES, PRESETS
from experiments.docs.yaml_comments import bases, files, header, settings

LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
PLUGINS = {"ray": "hydra_plugins.hydra_ray_launcher", "slurm": "hydra_plugins.hydra_submitit_launcher"}


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose names of Python functions are no matter here."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def site() -> dict[str, Any]:
    read: dict[str, Any] = yaml.load((DOCS / "mkdocs.yml").read_text(encoding="utf-8"), Loader=Loader)
    return read


def navigated(node: Any) -> list[str]:
    """The pages that the navigation leads to."""
    if isinstance(node, str):
        return [node]
    return [page for part in (node.values() if isinstance(node, dict) else node) for page in navigated(part)]


def test_the_navigation_has_every_page_once() -> None:
    found = navigated(site()["nav"])
    assert sorted(found) == sorted(str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md"))
    assert len(found) > 20


def slug(heading: str) -> str:
    """A heading's anchor, as mkdocs and GitHub make it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain))


def anchors(path: Path) -> set[str]:
    text = filled(path.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("path", pages(), ids=called)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(prose(path)):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), link
        if path != README:  # mkdocs knows no files but the pages'
            assert PAGES in target.parents, link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("path", pages(), ids=called)
def test_blocks_of_code_parse(path: Path) -> None:
    for block in blocks(path):
        assert block.language, f"{called(path)}: a block without a language: {block.text[:40]}"
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "yaml":
            assert yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)
    assert path.read_text(encoding="utf-8").count("```") == 2 * len(blocks(path))


FOUND = [(path, words) for path in pages() for words in commands(path)]


def test_there_are_commands() -> None:
    assert len([words for _, words in FOUND if words[0] == "harmonic"]) > 50


@pytest.mark.parametrize(("path", "words"), FOUND, ids=[f"{called(path)}: {' '.join(w)}" for path, w in FOUND])
def test_every_command_can_be_given(path: Path, words: list[str], tmp_path: Path) -> None:
    program, given = words[0], words[1:]
    if program == "harmonic":
        check_run(path, given, tmp_path)
    elif words[:2] == ["accelerate", "launch"]:
        check_run(path, words[words.index("experiments.run") + 1 :], tmp_path)
    elif program == "harmonic-sample":
        from experiments.sample_again import read_settings

        assert read_settings(given[1:])
    elif program == "harmonic-report":
        from experiments.report.command import parser

        options = parser().parse_args(given[: given.index(">")] if ">" in given else given)
        if options.sweep_yaml:
            from experiments.configuration.agent_sweep import agent_sweep

            assert agent_sweep(options.sweep_yaml)["parameters"]
    elif program == "wandb":
        from wandb.cli.cli import cli

        assert given[0] in cli.commands
    elif program == "harmonic-dashboard":
        from experiments.report.dashboard.command import parser as dashboard_parser

        dashboard_parser().parse_args(given)
    elif program == "harmonic-results":
        from experiments.results.command import parser as results_parser

        results_parser().parse_args(given)
    elif program in ("harmonic-card", "harmonic-cache"):
        assert given and set(given[1:]) <= {"--prune"}
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in given if "=" not in word} <= set(targets)
    elif words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for extra in re.findall(r"harmonic\[([\w,]+)\]", " ".join(given)):
            assert set(extra.split(",")) <= set(project["optional-dependencies"])
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(given[1]) is not None
    elif program == "python":
        assert (given[0],) in {(block.title,) for block in blocks(path)}
    else:
        assert words == ["hf", "auth", "login"], words


def check_run(path: Path, given: list[str], folder: Path) -> None:
    """Compose what the words of `harmonic` ask for, of a sweep its first job, and check every value."""
    files_in(path, folder)
    own = folder / given[given.index("--config-dir") + 1] if "--config-dir" in given else None
    overrides = []
    for word in given:
        if "=" in word:
            read = OverridesParser.create().parse_override(word)
            first = next(read.sweep_string_iterator()) if read.is_sweep_override() else None
            overrides.append(word if first is None else f"{read.get_key_element()}={first}")
    missing = [name for name, plugin in PLUGINS.items() if importlib.util.find_spec(plugin) is None]
    if any(f"launcher={name}" in overrides for name in missing):
        pytest.skip(f"launchers {missing} are not installed")
    if own is None:
        with initialize_config_module("conf", version_base="1.3"):
            config = compose("config", overrides)
    else:
        search = f"hydra.searchpath=[file://{own}]"
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("config", [search, *overrides])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        resolved(config)


def test_the_page_of_settings_names_every_choice() -> None:
    text = (PAGES / "reference" / "settings.md").read_text(encoding="utf-8")
    for group in (*CHOICES, *PRESETS, "scale"):
        (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", text, re.MULTILINE)
        named = set(re.findall(r"[a-z][\w*]+", row))
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert any(fnmatch.fnmatchcase(path.stem, name) for name in named), f"{group}={path.stem}"


def test_every_setting_has_a_meaning_and_says_what_it_may_be() -> None:
    """A comment beside it in YAML is enough; what it may be comes from the type hint."""
    found = [entry for group in CHOICES for path in files(group) for entry in entries(group, path)]
    found += [*run_entries(), *sizes()]
    assert len(found) > 300
    assert [entry.setting.path for entry in found if not entry.meaning] == []
    open_ended = ("settings.", "weights.")  # arguments of a library
    assert [e.setting.path for e in found if not e.allowed and not e.setting.path.startswith(open_ended)] == []


def test_settings_are_told_as_they_are() -> None:
    page = filled("<!-- settings -->")
    assert "| `neighbors.k` | `5` | a whole number of at least 1 | rows in a prompt" in page
    assert "| `seed` | `0` | a whole number of at least 0 and of at most 4294967295 |" in page
    assert "| folder with &lt;name>/raw/&lt;name>_{train,val,test}.csv |" in page
    for line in (page + filled("<!-- metrics -->")).splitlines():
        prose_only = re.sub(r"`[^`]*`", "", line)
        assert not re.search(r"<|(?<!\\)\*", prose_only), line  # Markdown would swallow it
    assert "| `settings.n_iter` | `quick 300, paper 1000, smoke 3`" in page
    tokens = "quick 80000, paper null, smoke 2000"
    assert f"| `tuning.max_tokens` | `{tokens}` | a whole number of at least 1, or null |" in page


def test_docstrings_tell_of_arguments() -> None:
    class Example:
        """An example. k: rows. one and another: both of them (None: neither). Last words."""

        def __init__(self, k: int, one: int, another: int, unsaid: int) -> None: ...

    both = "both of them (null: neither). Last words."
    assert in_docstring(Example) == {"k": "rows.", "one": both, "another": both}


def test_comments_are_found_beside_and_above(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    body = "defaults: [base, _self_]\na: 'x # y'  # beside\nb:\n  # above\n  c: [1,\n    2]\n"
    path.write_text(f"# About the file.\n#   harmonic x=1\n{body}")
    assert header(path) == "About the file." and bases(path) == ("base",)
    told = {one.path: (one.value, one.comment) for one in settings(path)}
    assert told == {"a": ("'x # y'", "beside"), "b": ("", ""), "b.c": ("[1, 2]", "above")}


def test_words_that_are_explained_are_used_in_the_code() -> None:
    page = (PAGES / "reference" / "words.md").read_text(encoding="utf-8")
    words = [word for word in re.findall(r"^\| ([a-z ]+) \|", page, re.MULTILINE) if word != "word"]
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "harmonic").rglob("*.py"))
    known = " ".join(re.sub(r"[_\W]+", " ", code.lower()).split())
    assert len(words) > 40 and words == sorted(set(words))
    assert [word for word in words if not re.search(rf"\b{word}s?\b", known)] == []


def test_marks_are_filled() -> None:
    used = [mark for path in pages() for mark in MADE if mark in path.read_text(encoding="utf-8")]
    assert sorted(used) == sorted(MADE)
    for mark in MADE:
        shipped = mark != "<!-- results -->" or newest_results() is not None
        assert len(filled(mark)) > (2000 if shipped else 30)


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs is not installed: pip install 'harmonic[docs]', or make docs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(DOCS / "mkdocs.yml")]
    done = subprocess.run([*words, "--site-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in navigated(site()["nav"]):
        assert (tmp_path / page).with_suffix(".html").is_file()
    made = {
        "reference/settings": "tuning.warmup_ratio",
        "reference/metrics": "column_shapes",
        "log": "Diabetes prompts",
    }
    for page, words in {**made, "reference/python": "harmonic.generators.base.Generator.sample"}.items():
        assert words in (tmp_path / f"{page}.html").read_text(encoding="utf-8"), page
