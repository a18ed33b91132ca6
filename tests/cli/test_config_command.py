"""`medarts config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from medarts_ops.cli.main import medarts
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.configs.presets import preset_names


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(medarts, ["config", *words])


def line(output: str, path: str) -> list[str]:
    return next(words for words in map(str.split, output.splitlines()) if words[:1] == [path])


def test_show_says_who_set_a_value_and_where_its_default_is_from() -> None:
    output = invoke("show", "--preset", "cifar10", "--set", "alpha.lr=1e-3", "--seed", "3").stdout
    assert line(output, "alpha.lr")[:4] == ["alpha.lr", "0.001", "--set", "DARTS"]
    assert line(output, "seed")[:4] == ["seed", "3", "option", "ours"]
    assert line(output, "stages.0.cells")[:4] == ["stages.0.cells", "4", "default", "paper"]
    assert line(output, "dataset.name")[:5] == ["dataset.name", "cifar10", "preset", "cifar10", "ours"]


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("section", ["search", "evaluate"])
def test_yaml_is_a_config_file_that_gives_the_same_config(name: str, section: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(invoke("show", section, "--preset", name, "--yaml").stdout, encoding="utf-8")
    load = load_search_config if section == "search" else load_evaluate_config
    assert load(config_file=file) == load(name)
    assert "preset" not in yaml.safe_load(file.read_text(encoding="utf-8"))[section]


def test_json_has_a_row_for_each_setting() -> None:
    rows = json.loads(invoke("show", "evaluate", "--dataset", "cifar10", "--json").stdout)
    epochs = next(row for row in rows if row["path"] == "epochs")
    assert epochs == {
        "path": "epochs",
        "value": 600,
        "changed_by": "default",
        "origin": "DARTS",
        "description": "epochs of training",
    }


def test_json_and_yaml_exclude_each_other() -> None:
    result = invoke("show", "--json", "--yaml")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(("section", "field"), [("search", "stages"), ("evaluate", "drop_path")])
def test_schema_is_a_json_schema_with_origins(section: str, field: str) -> None:
    schema = json.loads(invoke("schema", section).stdout)
    assert schema["properties"][field]["origin"] in ("paper", "DARTS", "ours")


def test_a_machines_data_folder_is_made_absolute_and_beaten_by_the_option(tmp_path: Path) -> None:
    environment = {"MEDARTS_DATA_DIR": str(tmp_path)}
    output = invoke("show", "--dataset", "cifar10", **environment).stdout
    assert line(output, "dataset.data")[:3] == ["dataset.data", str(tmp_path), "MEDARTS_DATA_DIR"]
    output = invoke("show", "--dataset", "cifar10", "--data", "mine", **environment).stdout
    assert line(output, "dataset.data")[:3] == ["dataset.data", str(Path.cwd() / "mine"), "option"]


def test_a_machines_data_folder_is_not_for_digits() -> None:
    output = invoke("show", MEDARTS_DATA_DIR="/data").stdout
    assert line(output, "dataset.data")[:3] == ["dataset.data", "-", "default"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "cifar1"], "dataset.name: unknown dataset 'cifar1'"),
        (["--preset", "cifar"], "unknown preset 'cifar'"),
        (["--config", "none.yaml"], "config file 'none.yaml' can't be read"),
        (["--set", "stages.0.epoch=2"], "did you mean 'stages.0.epochs'?"),
        (["--set", "stages.9.epochs=2"], "allowed are 0 to 2"),
        (["--seed", "-1"], "seed: allowed is 0 or more, got -1"),
        (["--device", "gpu"], "runtime.device: "),
        (["--amp", "fp8"], "runtime.amp: "),
        (["--resolution", "4"], "dataset.resolution: "),
        (["--resolution", "small"], "Invalid value for '--resolution'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], message: str) -> None:
    result = invoke("show", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
