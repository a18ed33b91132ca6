"""The command as a whole: help, lazy verbs, errors, signals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from medarts_ops.cli import main
from medarts_ops.cli.signals import Terminated
from medarts_ops.errors import ConfigError, MedartsError, StoreError

HEAVY = ("torch", "torchvision", "mlflow", "optuna", "pandas", "sqlalchemy", "sklearn", "matplotlib", "plotly")
RUN_MAIN = "from medarts_ops.cli.main import main; main()"


def run_process(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)


def verb(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Puts `command` in the place of every verb."""
    monkeypatch.setattr(main.VerbGroup, "get_command", lambda self, ctx, name: command)


def failing(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize("name", main.VERBS)
def test_every_verb_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main.medarts, [name, "--help"])
    assert result.exit_code == 0
    assert f"medarts {name}" in result.output
    if name != "config":
        assert "Examples:" in result.output


@pytest.mark.parametrize("name", ["show", "schema"])
def test_every_part_of_config_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main.medarts, ["config", name, "--help"])
    assert result.exit_code == 0
    assert f"  medarts config {name}" in result.output


@pytest.mark.parametrize("name", ["table3", "table4", "fig5", "fig6"])
def test_every_experiment_of_reproduce_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main.medarts, ["reproduce", name, "--help"])
    assert result.exit_code == 0
    assert f"  medarts reproduce {name}" in result.output and "--seeds" in result.output


def test_help_lists_every_verb() -> None:
    output = CliRunner().invoke(main.medarts, ["--help"]).output
    assert all(f"  {name} " in output for name in main.VERBS)


def test_help_loads_no_verb_and_nothing_heavy() -> None:
    code = (
        "import sys; from medarts_ops.cli.main import medarts; medarts.main(['--help'], standalone_mode=False); "
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    loaded = set(run_process(code).stderr.split())
    assert "medarts_ops.cli.main" in loaded
    assert not loaded & {*HEAVY, "cli", *(f"medarts_ops.cli.{name}" for name in main.VERBS)}


@pytest.mark.parametrize(
    "words",
    [
        ["config", "show"],
        ["genotypes"],
        ["search", "--help"],
        ["evaluate", "--help"],
        ["reproduce", "table4", "--help"],
        ["sweep", "--help"],
        ["resume", "--help"],
    ],
)
def test_light_verbs_load_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import sys; from medarts_ops.cli.main import medarts; medarts.main({words}, standalone_mode=False); "
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    assert not set(run_process(code).stderr.split()) & set(HEAVY)


def test_help_takes_less_than_800_milliseconds() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert run_process(RUN_MAIN, "--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.8


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(main.medarts, ["--version"]).output.split()[-1] == version("medarts-ops")


def test_without_a_verb_the_help_is_shown_as_a_usage_error() -> None:
    result = CliRunner().invoke(main.medarts, [])
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_an_unknown_verb_is_a_usage_error_with_the_near_miss() -> None:
    result = CliRunner().invoke(main.medarts, ["serach"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "did you mean 'search'?" in result.stderr


def test_an_unknown_option_is_one_line_with_the_way_to_help() -> None:
    result = CliRunner().invoke(main.medarts, ["search", "--sed", "3"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: No such option")
    assert result.stderr.endswith("see `medarts search --help`\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("a\nb"), 2), (StoreError("a\nb"), 1), (MedartsError("a b"), 1)]
)
def test_a_known_error_is_one_line_and_its_exit_code(
    error: MedartsError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb(monkeypatch, failing(error))
    result = CliRunner().invoke(main.medarts, ["search"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: a b\n")


@pytest.mark.parametrize(("words", "environment"), [(["--debug"], {}), ([], {"MEDARTS_DEBUG": "1"})])
def test_debug_shows_the_traceback_before_the_line(
    words: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verb(monkeypatch, failing(StoreError("no store")))
    result = CliRunner(env=environment).invoke(main.medarts, [*words, "search"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: no store\n")


def test_an_unknown_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    verb(monkeypatch, failing(ZeroDivisionError("a bug")))
    assert isinstance(CliRunner().invoke(main.medarts, ["search"]).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "code", "word"), [(KeyboardInterrupt(), 130, "interrupted"), (Terminated(), 143, "terminated")]
)
def test_an_interrupt_is_a_line_and_the_signals_exit_code(
    error: BaseException, code: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb(monkeypatch, failing(error))
    result = CliRunner().invoke(main.medarts, ["search"])
    assert result.exit_code == code
    assert result.stderr.startswith(word)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_lets_a_verb_clean_up(name: str, code: int) -> None:
    # As in a fresh shell: whoever runs the tests may ignore the signal, as nohup does, and children inherit that.
    program = f"""
import click, os, signal, time
signal.signal(signal.{name}, signal.SIG_DFL)
from medarts_ops.cli import main
from medarts_ops.cli.signals import Terminated
@click.command()
def command():
    try:
        os.kill(os.getpid(), signal.{name})
        time.sleep(30)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.{name})
        print("cleaned up")
        raise
main.VerbGroup.get_command = lambda self, ctx, name: command
main.main()
"""
    done = run_process(program, "search")
    assert (done.returncode, done.stdout) == (code, "cleaned up\n")
    assert done.stderr.startswith(f"terminated by {name}")


def test_a_closed_terminal_does_not_end_what_nohup_started() -> None:
    program = """
import click, os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from medarts_ops.cli import main
from medarts_ops.cli.signals import Terminated
@click.command()
def command():
    os.kill(os.getpid(), signal.SIGHUP)
main.VerbGroup.get_command = lambda self, ctx, name: command
main.main()
"""
    assert run_process(program, "search").returncode == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, "genotypes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
    process.wait(timeout=60)


def test_quiet_leaves_out_progress_and_verbose_says_more(here: Path) -> None:
    words = ("evaluate", "--genotype", "DARTS_V2", "--dataset", "digits", "--set", "epochs=1", "--set", "cells=3")
    small = (*words, "--set", "channels=2", "--set", "runtime.threads=1", "--json")
    quiet, verbose = (run_process("from medarts_ops.cli.main import main; main()", how, *small) for how in ("-q", "-v"))
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert json.loads(quiet.stdout)["epochs"] == json.loads(verbose.stdout)["epochs"] == 1
    assert "the tracking store is sqlite:///" in verbose.stderr and "epoch 1/1" in verbose.stderr


def test_quiet_and_verbose_exclude_each_other() -> None:
    result = CliRunner().invoke(main.medarts, ["-q", "-v", "genotypes"])
    assert result.exit_code == 2 and "exclude each other" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--json", "runs"), "error: No such option '--json'. Did you mean '--version'?; see `medarts --help`\n"),
        (
            ("search", "--quiet"),
            "error: --quiet goes before the verb: medarts --quiet …; see `medarts search --help`\n",
        ),
        (("show",), "error: Missing argument 'RUN_ID'; see `medarts show --help`\n"),
    ],
)
def test_a_mistake_before_or_after_the_verb_is_one_line(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(main.medarts, words)
    assert (result.exit_code, result.stderr) == (2, said)
