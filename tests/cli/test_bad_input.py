"""Bad input on the command line: one line on stderr, an exit code, and nothing half-made."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from factories import make_dataset_summary, make_search_config_tiny
from refusals import assert_refused, count, invoke

from medarts_ops.config import ProposalsConfig, RangeConfig

STAGES = "stages=[{name: a, population: 4}, {name: b, survivors: %d, children: %d}]"
SKIPS = '[["skip_connect", 0], ["skip_connect", 1]]'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "cifar11"], "dataset.name: unknown dataset 'cifar11'"),
        (["--dataset", "cifar11"], "did you mean 'cifar10'?"),
        (["--preset", "cifar1O"], "did you mean 'cifar10'?"),
        (["--set", "stages.0.epoch=2"], "unknown setting 'stages.0.epoch'"),
        (["--set", "stages.0.epoch=2"], "did you mean 'stages.0.epochs'?"),
        (["--set", "weights.lr=-1"], "weights.lr: allowed is more than 0, got -1"),
        (["--set", "stages.7.epochs=2"], "allowed are 0 to 2"),
        (["--set", "stages.0.cells=2"], "stages.0.cells: allowed is 3 or more, got 2"),
        (["--set", "stages.0.population=0"], "stages.0.population: allowed is 1 or more, or null, got 0"),
        (["--set", STAGES % (5, 0)], "stages.1.survivors is 5: stage 'a' has 4 individuals"),
        (["--set", STAGES % (2, 3)], "stages.1.children is 3: 2 survivors give at most 2 crossover children"),
        (["--set", "objectives.1.name=parms"], "did you mean 'params'?"),
        (["--set", "strategy.name=dart"], "did you mean 'darts'?"),
        (["--set", "space.primitives=[none, sep_conv_3x4]"], "did you mean 'sep_conv_3x3'?"),
        (["--seed", "-1"], "seed: allowed is 0 or more, got -1"),
        (["--device", "gpu"], "runtime.device: "),
        (["--device", "cuda:99"], "runtime.device is 'cuda:99'"),
        (["--config", "missing.yaml"], "config file 'missing.yaml' can't be read"),
        (["--dataset", "folder"], "dataset.data"),
        (["--name", "../up"], "name is '../up'"),
        (["--name", ""], "name is ''"),
        (["--tracking-uri", "file:./mlruns"], "use 'sqlite:///"),
        (["--tracking-uri", "mlruns"], "use 'sqlite:///"),
        (["--tracking-uri", "ftp://host"], "allowed are sqlite:///"),
        (["--storage", "optuna.db"], "allowed are sqlite:///"),
        (["--sed", "3"], "No such option"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(words: list[str], message: str, here: Path) -> None:
    assert_refused(invoke("search", *words), 2, message)


@pytest.mark.parametrize("words", [["--storage", "optuna.db"], ["--tracking-uri", "mlruns"], ["--storage", "journal:"]])
def test_a_store_that_is_no_address_leaves_a_fresh_folder_empty(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("search", *words).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "code"), [("../up", 2), ("", 2), ("taken", 1)])
def test_a_dry_run_refuses_the_names_that_the_search_refuses(name: str, code: int, here: Path) -> None:
    (here / "work" / "taken").mkdir(parents=True)
    told = [invoke("search", "--work-dir", "work", "--name", name, *more) for more in ([], ["--dry-run"])]
    assert [result.exit_code for result in told] == [code, code]
    assert told[0].stderr == told[1].stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"normal": [["none", 0], ["skip_connect", 1]], "reduce": {SKIPS}}}', "'none' is no operation"),
        (f'{{"normal": [["sep_conv_3x4", 0], ["skip_connect", 1]], "reduce": {SKIPS}}}', "did you mean 'sep_conv_3x3'"),
        (f'{{"normal": [["skip_connect", 7], ["skip_connect", 1]], "reduce": {SKIPS}}}', "input 7 is impossible"),
    ],
)
def test_an_impossible_genotype_is_refused(text: str, message: str, here: Path) -> None:
    (here / "bad.json").write_text(text, encoding="utf-8")
    assert_refused(invoke("evaluate", "--genotype", "bad.json", "--dataset", "digits"), 1, message)


@pytest.mark.parametrize("verb", [["search"], ["evaluate", "--genotype", "DARTS_V2", "--dataset", "digits"], ["runs"]])
@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_store_that_can_not_be_reached_is_refused(verb: list[str], scheme: str, here: Path) -> None:
    if scheme == "postgresql":
        pytest.importorskip("psycopg2")
    uri = f"{scheme}://user:secret@127.0.0.1:{unused_port()}/db"
    result = invoke(*verb, "--tracking-uri", uri)
    assert_refused(result, 1, "can't reach the")
    assert "secret" not in result.stderr


def test_a_study_storage_that_can_not_be_reached_is_refused(here: Path) -> None:
    pytest.importorskip("psycopg2")
    storage = f"postgresql://user@127.0.0.1:{unused_port()}/db"
    assert_refused(invoke("search", "--storage", storage), 1, "can't reach the database")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("words", [["runs"], ["show", "x"], ["evaluate", "x"], ["ui"]])
def test_reading_makes_no_store(words: Sequence[str], here: Path) -> None:
    (here / "mlflow.db").unlink()
    assert_refused(invoke(*words), 1, "run `medarts search` first")
    assert not list(here.iterdir())


def test_in_a_folder_whose_name_is_no_utf_8_one_line_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "f\udce9").mkdir()
    monkeypatch.chdir(here / "f\udce9")
    for words in (["search"], ["runs"], ["search", "--tracking-uri", "sqlite:///x.db"]):
        assert_refused(invoke(*words), 2, "is not in UTF-8")
    assert not list(Path.cwd().iterdir())


def test_files_whose_names_are_no_utf_8_are_read_and_written(here: Path) -> None:
    (here / "\udce9.yaml").write_text("search: {seed: 7}")
    shown = invoke("config", "show", "--config", "\udce9.yaml", "--json")
    assert (shown.exit_code, '"value": 7' in shown.stdout) == (0, True)
    (here / "\udce9.json").write_text("{}")
    assert_refused(invoke("evaluate", "--genotype", "\udce9.json", "--dataset", "digits"), 1, r"\udce9.json")


def test_a_work_directory_below_a_file_is_refused(here: Path) -> None:
    (here / "work").touch()
    assert_refused(invoke("search", "--work-dir", "work/below"), 1, "name a folder that can be written")


def test_a_folder_of_the_searchs_name_is_left_alone(here: Path) -> None:
    (here / "work" / "mine").mkdir(parents=True)
    assert_refused(invoke("search", "--work-dir", "work", "--name", "mine"), 1, "'mine' is taken")
    assert (here / "work" / "mine").is_dir()


def test_a_name_that_a_search_in_the_store_carries_is_refused(stored: Any, here: Path) -> None:
    result = invoke("search", "--name", "search-told", "--tracking-uri", stored.uri)
    assert_refused(result, 1, "name 'search-told' is taken in this tracking store")


def test_a_name_that_older_studies_carry_is_refused(here: Path) -> None:
    make_study("mine/proposals")
    result = invoke("search", "--name", "mine")
    assert (result.exit_code, count(here / "mlflow.db", "runs"), (here / "medarts-work").exists()) == (1, 0, False)
    assert "name 'mine' is taken in this study storage" in result.stderr


def test_a_shared_study_of_other_settings_is_refused_and_kept(here: Path) -> None:
    make_study("shared")
    result = invoke("search", "--set", "proposals.study=shared")
    *first, error = result.stderr.splitlines()
    assert (result.exit_code, first) == (2, ["reading images of digits"])
    assert "study 'shared' belongs to other settings" in error
    assert (count(here / "mlflow.db", "runs"), count(here / "optuna.db", "studies")) == (0, 1)
    assert not list((here / "medarts-work").iterdir())


def make_study(name: str) -> None:
    """A study that a search with other settings made."""
    from medarts_ops.tracking.stores.study_storage import open_study_storage
    from medarts_ops.tracking.studies.proposer import OptunaProposer

    proposals = ProposalsConfig(space={"alpha_lr": RangeConfig(low=1e-4, high=1e-2)}, study=name)
    config = make_search_config_tiny().model_copy(update={"proposals": proposals})
    OptunaProposer(open_study_storage(None), "another", config, make_dataset_summary())
