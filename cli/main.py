"""The `medarts` command: its verbs, how errors and signals leave the process, and nothing heavy to import."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import traceback
from typing import Any, NoReturn

import click

from medarts_ops.cli.next_command import note_given, resume_line
from medarts_ops.cli.signals import Terminated, heed_signals, is_no_interrupt
from medarts_ops.cli.streams import LastingStream, lasting_streams
from medarts_ops.cli.visible import VisibleLines, echo
from medarts_ops.errors import MedartsError, unknown_name
from medarts_ops.openmp import wait_in_short_spins

OUTPUT_LOST = 74
"""The exit code, sysexits' EX_IOERR, of a command that did its work and could not print what came of it."""

VERBS = {
    "data": "Look at images before a search: what there is, what to mend, what to search them with.",
    "search": "Find an architecture by multi-stage evolution (the paper's main job).",
    "evaluate": "Train a found or published architecture at full size and test it.",
    "reproduce": "Reproduce a table or figure of the paper over several seeds.",
    "sweep": "Train every combination of settings with the same seeds and compare them.",
    "runs": "List the searches and experiments in the store and what came of them.",
    "show": "Show one run: lineage, genotype, objectives.",
    "compare": "Show runs side by side: settings, objectives and genotypes that differ.",
    "report": "Write a search or an experiment as one page of HTML, with pictures.",
    "genotypes": "List the published architectures, or print one.",
    "resume": "Go on with a search, an evaluation or an experiment that was stopped or killed.",
    "sync": "Bring a job's journal into the stores, after an outage or into new ones.",
    "export": "Write an evaluated network as pt2, ONNX or safetensors.",
    "predict": "Classify images with an exported network.",
    "delete": "Delete a search, an evaluation or an experiment with all that belongs to it.",
    "ui": "Open the MLflow pages on the store in use.",
    "bench": "Measure this machine: search, training and data against the original's, and what a search will cost.",
    "config": "Print the settings with the origin of each, or their schema.",
}
"""Every verb with its line in the help: static, so that `medarts --help` imports none of them."""


class VerbGroup(click.Group):
    """Loads a verb's module when the verb is used, and turns known errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of a user's way, not of the alphabet."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one verb; None for what is no verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"medarts_ops.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that `args` begin with; a usage error with the near miss otherwise."""
        if args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(unknown_name("command", args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the verbs' lines; click's own way loads each verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the verb."""
        try:
            return super().invoke(ctx)
        except MedartsError as error:
            _leave(ctx, f"error: {' '.join(str(error).split())}", error.exit_code)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = (error.ctx or ctx).command_path
            _leave(ctx, f"error: {_said(error)}; see `{path} --help`", error.exit_code)
        except Terminated as error:
            _leave(ctx, f"{error}{_kept(ctx)}", error.exit_code)
        except KeyboardInterrupt:
            _leave(ctx, f"interrupted{_kept(ctx)}", 128 + signal.SIGINT)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the options before the verb; what is wrong with them is one line, too."""
        given = tuple(args)
        try:
            made = super().make_context(info_name, args, parent, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            echo(f"error: {_said(error)}; see `medarts --help`", err=True)
            raise click.exceptions.Exit(error.exit_code) from error
        note_given(made, given)
        return made


@click.command(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `medarts search`: it needs no options and takes minutes on a CPU.",
)
@click.option("--debug", is_flag=True, envvar="MEDARTS_DEBUG", show_envvar=True, help="Show the traceback of an error.")
@click.option("-q", "--quiet", is_flag=True, help="No progress: only results, warnings and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Also say what goes on behind the progress.")
@click.version_option(package_name="medarts-ops", prog_name="medarts")
def medarts(debug: bool, quiet: bool, verbose: bool) -> None:
    """ME-DARTS: multi-stage evolution of differentiable architecture search.

    Searches, evaluations and all that they measure go to an MLflow store (./mlflow.db by default).
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other: give one of them")
    lines = logging.StreamHandler()  # to stderr
    lines.setFormatter(VisibleLines())
    lines.addFilter(is_no_interrupt)
    logging.basicConfig(handlers=[lines])
    if verbose:
        logging.getLogger("medarts_ops").setLevel(logging.INFO)


def main() -> NoReturn:
    """Runs the command line of this process and exits."""
    heed_signals()
    wait_in_short_spins()  # before a verb imports torch
    stdout = lasting_streams()
    try:
        medarts.main(prog_name="medarts", standalone_mode=True)
    except SystemExit as leaving:
        if leaving.code == 128 + signal.SIGINT:
            # Python gives Ctrl-C up while it ends: a second one would kill the process, whose exit code is told then.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(leaving.code or _lost(stdout))
    raise AssertionError("click's standalone mode always exits")


def _said(error: click.UsageError) -> str:
    """What click says of a mistake, without its full stop; an option of medarts itself is sent to its place."""
    if isinstance(error, click.NoSuchOption) and error.option_name in ("--debug", "--quiet", "--verbose"):
        return f"{error.option_name} goes before the verb: medarts {error.option_name} …"
    return error.format_message().removesuffix(".")


def _kept(ctx: click.Context) -> str:
    """What is left of a job that can go on; other commands keep nothing."""
    return "" if resume_line(ctx) is None else ": what was finished is in the store"


def _leave(ctx: click.Context, line: str, exit_code: int) -> NoReturn:
    if ctx.params["debug"]:
        echo(traceback.format_exc().rstrip(), err=True)
    echo(line, err=True)
    to_resume = resume_line(ctx)
    if to_resume is not None:
        echo(f"to go on: {to_resume}", err=True)
    ctx.exit(exit_code)


def _lost(stdout: LastingStream | None) -> int:
    """The exit code of a verb that did its work: not 0 where stdout did not take all that was to be said of it."""
    failure = None if stdout is None else stdout.failure()
    if failure is None:
        return 0
    again = "nothing else is lost: `medarts runs` lists what was trained, `medarts show` shows it again"
    echo(f"error: the result can't be written to stdout: {failure.strerror}; {again}", err=True)
    return OUTPUT_LOST
