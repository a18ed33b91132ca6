"""Long measurements in pieces: each a small file once it is done; by several processes, whatever ends them meanwhile.

Only the core is imported, so that it runs where no more than that is at hand.
"""

from __future__ import annotations

import argparse
import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.individual import EvaluatedIndividual, EvaluationResult, SearchResult
from medarts_ops.journal.job import kind_in, read_journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import IndividualFinished, SearchEvent, SearchFinished
from medarts_ops.search import resume_search, run_search
from medarts_ops.space.genotype import Genotype

Piece = dict[str, Any]
Verb = Callable[[argparse.Namespace], None]


def command_line(about: str | None, work: Verb, table: Verb, seeds: int) -> argparse.Namespace:
    """What was asked for: `work RESULTS FOLDER IMAGES [--seeds N]`, both folders made, or `table RESULTS ORACLE`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    for verb, places in ((work, ("results", "folder", "images")), (table, ("results", "oracle"))):
        words = verbs.add_parser(verb.__name__)
        for place in places:
            words.add_argument(place, type=Path)
        words.set_defaults(carry_out=verb)
        if verb is work:
            words.add_argument("--seeds", type=int, default=seeds)
    asked = parser.parse_args()
    if asked.carry_out is work:
        asked.folder.mkdir(parents=True, exist_ok=True)
        asked.results.mkdir(parents=True, exist_ok=True)
    return asked


def carried_out(asked: argparse.Namespace, name: str, job: Callable[[], Piece]) -> bool:
    """Whether the piece was free and is done now."""
    with only_here(asked.folder / f"{name}.lock") as free:
        if not free or finished(asked.results, name):
            return False
        (asked.results / f"{name}.json").write_text(json.dumps(job(), separators=(",", ":")) + "\n")
        print(name, flush=True)
        return True


def finished(results: Path, name: str) -> Piece | None:
    path = results / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


@contextmanager
def only_here(path: Path) -> Iterator[bool]:
    """Whether no other process is at the piece; the system takes the lock away from one that died."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def result_in(folder: Path, config: SearchConfig, **how: Any) -> SearchResult:
    """The search of that folder, begun, gone on with, or finished before."""
    if not kind_in(folder):
        return run_search(config, folder, **how)
    told = read_journal(folder, SEARCH).find(SearchFinished)
    return resume_search(folder, **how) if told is None else told.result


def evaluation_in(folder: Path, config: EvaluateConfig, genotype: Genotype) -> EvaluationResult:
    """The evaluation of that folder, begun or gone on with."""
    return resume_evaluation(folder) if kind_in(folder) else run_evaluation(config, genotype, folder=folder)


def events_of(folder: Path) -> list[SearchEvent]:
    return [event for _, event in read_journal(folder, SEARCH).events()]


def individuals_in(folder: Path) -> list[EvaluatedIndividual]:
    """All that a search trained to the end, with what α said after each epoch."""
    outcomes = [event.outcome for event in events_of(folder) if isinstance(event, IndividualFinished)]
    return [one for one in outcomes if isinstance(one, EvaluatedIndividual)]
