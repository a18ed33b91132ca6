"""`--experiment`: where a job's runs go, where they are looked for, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import pytest
from factories import make_search_events
from journals import write_journal
from refusals import invoke

from medarts_ops.cli.main import VERBS, medarts
from medarts_ops.cli.next_command import job_line
from medarts_ops.cli.options import Places
from medarts_ops.tracking.place import Place, write_place
from medarts_ops.tracking.reading.relations import find_evaluated
from medarts_ops.tracking.recorders import evaluation_home, evaluation_recorder
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore


@pytest.fixture
def flowers(here: Path) -> RunStore:
    """The store in the current folder; the experiment `flowers` holds the search `mine`, and ours none."""
    write_journal(Path("medarts-work"), "mine", make_search_events("mine"))
    assert invoke("sync", "mine", "--experiment", "flowers").exit_code == 0
    return open_store(None)


def listed(*words: str) -> list[tuple[str, str]]:
    result = invoke("runs", "--json", *words)
    assert result.exit_code == 0, result.output
    return [(row["name"], row["experiment"]) for row in json.loads(result.stdout)]


def test_every_verb_that_opens_a_tracking_store_takes_an_experiment() -> None:
    with click.Context(medarts) as ctx:
        verbs = [medarts.get_command(ctx, verb) for verb in VERBS]  # type: ignore[attr-defined]
    commands = [
        each for verb in verbs for each in (verb.commands.values() if isinstance(verb, click.Group) else [verb])
    ]
    taken = [{parameter.name for parameter in command.params} & {"tracking_uri", "experiment"} for command in commands]
    assert all(len(names) != 1 for names in taken) and sum(map(bool, taken)) == 16


def test_runs_says_which_experiment_a_search_is_in_and_lists_one_alone_if_asked(flowers: RunStore) -> None:
    write_journal(Path("medarts-work"), "ours", make_search_events("ours"))
    assert invoke("sync", "ours").exit_code == 0
    assert sorted(listed()) == [("mine", "flowers"), ("ours", "medarts")]
    assert listed("--experiment", "flowers") == [("mine", "flowers")]
    shown = invoke("runs").stdout
    assert shown.count("FINISHED, experiment flowers\n") == 1 and shown.count("FINISHED\n") == 1
    assert "status,started,ended,experiment_id,experiment,dataset" in invoke("runs", "--csv").stdout


def test_mlflows_own_variables_name_the_experiment(flowers: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flowers.experiment_id()
    (experiment_id,) = flowers.within("flowers").experiment_names()
    runner = click.testing.CliRunner()
    for variable, value in (("MLFLOW_EXPERIMENT_NAME", "flowers"), ("MLFLOW_EXPERIMENT_ID", experiment_id)):
        result = runner.invoke(medarts, ["runs", "--json"], env={variable: value})
        assert [row["experiment"] for row in json.loads(result.stdout)] == ["flowers"]
    result = runner.invoke(medarts, ["runs", "--experiment", "medarts"], env={"MLFLOW_EXPERIMENT_ID": experiment_id})
    assert "no searches yet" in result.stdout


def test_an_experiment_that_is_not_there_is_one_line(flowers: RunStore) -> None:
    for words in (("runs",), ("show", "mine"), ("sync", "mine")):
        result = invoke(*words, "--experiment", "77")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no experiment has the id 77: allowed are" in result.stderr


def test_a_search_that_goes_on_without_the_option_does_so_in_its_own_experiment(flowers: RunStore) -> None:
    before = flowers.runs_with(None, "medarts.search_id", "mine")
    result = invoke("sync", "mine", "--json")
    assert json.loads(result.stdout)["run_id"] == flowers.find_run("mine").run_id
    assert flowers.runs_with(None, "medarts.search_id", "mine") == before
    assert "medarts" not in flowers.experiment_names().values()


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_search_that_goes_on_does_so_where_it_is_whichever_experiment_is_given(flowers: RunStore, how: str) -> None:
    flowers.within("birds").experiment_id()
    before = flowers.within(None).runs_with(None, "medarts.search_id", "mine")
    words = ["--experiment", "birds"] if how == "option" else []
    environment = {} if words else {"MLFLOW_EXPERIMENT_NAME": "birds"}
    result = click.testing.CliRunner().invoke(medarts, ["sync", "mine", "--json", *words], env=environment)
    assert json.loads(result.stdout)["run_id"] == flowers.find_run("mine").run_id
    assert flowers.within(None).runs_with(None, "medarts.search_id", "mine") == before


def test_an_evaluation_goes_to_the_experiment_of_its_search(flowers: RunStore, tmp_path: Path) -> None:
    search = flowers.find_run("mine")
    write_place(tmp_path, Place(evaluates=search.run_id, parent_run_id=search.run_id))
    elsewhere = flowers.within("elsewhere")
    for store in (flowers, elsewhere):
        home = evaluation_home(store, tmp_path)
        assert evaluation_recorder(home, tmp_path, pictures=False).mlflow.experiment_id == search.experiment_id
    found = find_evaluated("mine", tracking_uri=None, experiment="flowers")
    assert found.store.experiment_id() == search.experiment_id


def test_a_name_in_two_experiments_is_told_apart_by_the_option(flowers: RunStore) -> None:
    birds = flowers.within("birds")
    tags = flowers.find_run("mine").tags
    birds.create_run(experiment_id=birds.experiment_id(), kind="search", name="mine", tags=tags, params={})
    assert "2 runs are named 'mine'" in invoke("show", "mine").stderr
    for name in ("birds", "flowers"):
        (experiment_id,) = flowers.within(name).experiment_names()
        assert (
            json.loads(invoke("show", "mine", "--experiment", name, "--json").stdout)["experiment_id"] == experiment_id
        )


def test_a_following_command_names_the_experiment_that_was_given() -> None:
    given = Places(experiment="wild flowers", tracking_uri="http://u:secret@host", given=frozenset({"experiment"}))
    assert job_line(given, "resume", "mine") == "medarts resume mine --experiment 'wild flowers'"
    both = Places(given.tracking_uri, given.experiment, given=frozenset({"experiment", "tracking_uri"}))
    assert job_line(both, "sync", "mine").startswith("medarts sync mine --tracking-uri 'http://u:***@host' --exp")


def test_a_deleted_experiment_is_told_of_by_runs_and_show(flowers: RunStore) -> None:
    run = flowers.find_run("mine")
    flowers._client.delete_experiment(run.experiment_id)
    back = f"`mlflow experiments restore --experiment-id {run.experiment_id}`"
    for words in (("runs",), ("runs", "--experiment", "flowers"), ("show", "mine"), ("show", run.run_id)):
        result = invoke(*words)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert back in result.stderr
