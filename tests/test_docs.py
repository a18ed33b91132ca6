"""What the documents say is true: commands parse, code runs, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from medarts_ops.cli.main import VERBS, medarts

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWN_APART = {"tracking.md", "using-a-network.md"}
"""Pages whose code needs a store or a network: their own tests run it."""

PLACEHOLDERS = {"IMAGE…", "RUN_ID…", "…"}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order; "" are those without one."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    """Every `medarts` line of every page."""
    for page in PAGES:
        for block in (*blocks(page, ""), *blocks(page, "bash"), *blocks(page, "sh")):
            for line in block.splitlines():
                words = line.strip().removeprefix("$ ")
                if words.startswith("medarts "):
                    yield page.name, words


COMMANDS = sorted(set(commands()))


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_documented_command_is_one_that_medarts_takes(page: str, line: str) -> None:
    words = [word for word in shlex.split(line, comments=True)[1:] if word not in PLACEHOLDERS]
    while words and words[0] in ("--quiet", "--verbose", "--debug"):
        words.pop(0)
    assert words[0] in VERBS, f"{page}: {line}"
    context: click.Context = click.Context(medarts, info_name="medarts")
    command = medarts.get_command(context, words[0])
    while isinstance(command, click.Group) and len(words) > 1:
        words.pop(0)
        command = command.get_command(click.Context(command), words[0])
    assert command is not None, f"{page}: {line}"
    with click.Context(command, info_name=words[0]) as ctx:
        command.make_parser(ctx).parse_args(words[1:])  # an unknown option raises


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in SHOWN_APART], ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    defined_on(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_settings_file_for_a_small_machine_is_one(tmp_path: Path) -> None:
    from medarts_ops.configs.loader import load_evaluate_config, load_search_config

    (text,) = blocks(ROOT / "docs" / "your-images.md", "yaml")
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    search = load_search_config(config_file=tmp_path / "small.yaml")
    assert (search.preset, search.stages[1].children) == ("folder", 2)
    assert load_evaluate_config(config_file=tmp_path / "small.yaml").cells == yaml.safe_load(text)["evaluate"]["cells"]


def example(name: str) -> Any:
    """Something that `extending.md` defines."""
    return defined_on(ROOT / "docs" / "extending.md")[name]


def defined_on(page: Path) -> dict[str, Any]:
    """What the code of a page defines, run as one module: dataclasses look theirs up."""
    module = ModuleType(page.stem)
    sys.modules[page.stem] = module
    try:
        for code in blocks(page, "python"):
            exec(compile(code, page.name, "exec"), module.__dict__)
    finally:
        del sys.modules[page.stem]
    return module.__dict__


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("pyproject.toml", "toml"),
        ("stripes.yaml", "yaml"),
        ("medarts_example/skips.py", "python"),
        ("medarts_example/sigmoid.py", "python"),
        ("medarts_example/shrinking.py", "python"),
        ("medarts_example/stripes.py", "python"),
        ("medarts_example/last_first.py", "python"),
    ],
)
def test_the_page_of_parts_shows_the_files_that_the_tests_install(name: str, language: str) -> None:
    shown = (ROOT / "tests" / "extension_package" / name).read_text(encoding="utf-8")
    assert shown in blocks(ROOT / "docs" / "extending.md", language)


def test_the_example_objective_measures() -> None:
    from contracts.test_objective_contract import CONTEXT
    from factories import make_genotype, make_trained

    trained = make_trained(genotype=make_genotype("skip_connect"))
    assert example("SKIPS").measure(trained, CONTEXT) == 16


@pytest.mark.parametrize(("settings", "name"), [("SigmoidSettings", "sigmoid"), ("ShrinkingSettings", "shrinking")])
def test_an_example_strategy_keeps_the_promises_of_a_strategy(settings: str, name: str) -> None:
    from contracts import test_strategy_contract as contract
    from strategy_problems import SPACE

    strategy = example(settings)(name=name).build(SPACE)
    contract.test_the_spec_has_the_shape_of_the_space(strategy)
    contract.test_fixed_noise_gives_the_gradient_of_finite_differences(strategy)
    contract.test_a_masked_operation_has_no_weight_and_no_gradient(strategy)
    contract.test_no_genotype_holds_a_masked_operation(strategy)
    contract.test_following_the_gradient_lowers_what_alpha_descends(strategy)
    contract.test_hooks_take_values_and_give_values_that_fit(strategy)


def test_the_example_dataset_is_loaded_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from medarts_ops import registry
    from medarts_ops.config import DatasetConfig
    from medarts_ops.data.registry import DATASETS, load_dataset

    monkeypatch.setattr(registry, "_registered", {})
    DATASETS.register("stripes", example("load_stripes"))
    dataset = load_dataset(DatasetConfig(name="stripes"))
    assert (dataset.class_names, len(dataset.train.images), len(dataset.test.images)) == (("upright", "level"), 320, 80)
