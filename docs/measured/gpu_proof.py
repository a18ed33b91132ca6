"""Does the CUDA code work, and how fast is it? All that a card has to show, in parts that make one document.

    python gpu_proof.py list
    python gpu_proof.py run FOLDER IMAGES.npz [PART ...] [--minutes 9] [--again] [--tiny] [--commit COMMIT]
    python gpu_proof.py table FOLDER > proof.md

`run` measures each part in a process of its own, by the sources that this file is among, which need not be installed:
it takes what the core imports (torch, torchvision, numpy, pydantic, psutil, joblib, scikit-learn), no network, and
pytest for `tests`. IMAGES.npz are CIFAR-10's, or any others of 32×32. A part has cases; what came of each is in
FOLDER/PART.json at once, what it printed in FOLDER/PART.log. A call ends after `--minutes`, a search too; the next one
goes on with what is left, then with what failed. Exit code: 1 if something failed, 2 without images or a card, 3 if
something is left to do.

`--tiny` is the dry run: sizes that a CPU computes in seconds, whose figures say nothing. `--commit` names the sources
where git can't be asked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
GRACE = 40.0
"""Seconds that a part may take beyond its time: a case is not begun after it, but one at work may end."""

FAILED, REFUSED, LEFT = 1, 2, 3
CAME_OF_IT = ("failed", "skipped", "unfinished")
"""What a row may say instead of figures."""

Row = Mapping[str, Any]


class Part(NamedTuple):
    """What a part shows, about how many minutes it takes on a card, and the function that gives its cases."""

    what: str
    minutes: int
    cases: str
    only_on_card: bool = False


PARTS = {
    "tests": Part("The tests that want a CUDA device pass.", 3, "jobs:tests", only_on_card=True),
    "search_step": Part(
        "A search step of Table II's stages, 16×16 images: seconds and launches of an individual; the most memory, "
        "weights included on a card; × is how many times as fast as the original DARTS's step. Of a graph, launches "
        "are what is left beside it.",
        6,
        "steps:search_steps",
    ),
    "evaluation_step": Part(
        "A training step of DARTS_V2, 20 cells, 36 channels, 96 images of 32×32; columns as of a search step.",
        9,
        "steps:evaluation_steps",
    ),
    "data": Part("Augmented images a second, and a torch DataLoader's with a worker a core.", 1, "steps:input_passes"),
    "search": Part("A whole search of Table II on the images; hours of one card.", 30, "jobs:search"),
    "evaluation": Part(
        "Three epochs of DARTS_V2's full evaluation on the images, and the hours of 600.", 4, "jobs:evaluation"
    ),
    "determinism": Part("Two equal searches with runtime.deterministic, bit by bit.", 2, "jobs:determinism"),
    "resume": Part("A search killed by SIGKILL in its midst and resumed, against one that was not.", 3, "jobs:resumed"),
    "memory": Part("Memory of two epochs, estimated before the first step and measured.", 8, "steps:memory"),
    "layouts": Part(
        "Milliseconds, forward and backward, of single calls on maps of an evaluation's sizes. Supernets compute on "
        "planes (`product`: networks/separable.py), evaluations on images; which way of each `auto` finds out by whole "
        "steps (runtime.matrix_side, runtime.channels_last): see search_step and evaluation_step.",
        1,
        "layouts:ways",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("list").set_defaults(carry_out=list_parts)
    for name, carry_out in (("run", run), ("measure", measure)):
        verb = verbs.add_parser(name, help="one part, in this process" if name == "measure" else None)
        verb.add_argument("folder", type=lambda text: Path(text).absolute())
        verb.add_argument("images", type=lambda text: Path(text).absolute())
        verb.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help="all, in order, by default")
        verb.add_argument("--minutes", type=float, default=9.0, help="that this call may take; 9 by default")
        verb.add_argument("--again", action="store_true", help="measure what is done, too")
        verb.add_argument("--tiny", action="store_true", help="in sizes for a CPU")
        verb.add_argument("--commit", help="of the sources, where git can't be asked")
        verb.set_defaults(carry_out=carry_out)
    table_ = verbs.add_parser("table")
    table_.add_argument("folder", type=Path)
    table_.set_defaults(carry_out=table)
    asked = parser.parse_args()
    return int(asked.carry_out(asked) or 0)


def list_parts(asked: argparse.Namespace) -> None:
    for name, part in PARTS.items():
        print(f"{name:16} about {part.minutes:2} min{', needs a card' * part.only_on_card}. {part.what}")


def run(asked: argparse.Namespace) -> int:
    """Measure what is left of the parts until the time is over."""
    reason = what_is_missing(asked)
    if reason is not None:
        print(reason, file=sys.stderr)
        return REFUSED
    end, states = time.monotonic() + 60 * asked.minutes, []
    for name in asked.parts or PARTS:
        if asked.again:
            shutil.rmtree(asked.folder / name, ignore_errors=True)
            (asked.folder / f"{name}.json").unlink(missing_ok=True)
        seconds = end - time.monotonic()
        if state_of(found_in(asked.folder, name)) not in ("done", "skipped") and seconds > 0:
            in_process(asked, name, seconds)
        states.append(state_of(found_in(asked.folder, name)))
        print(f"{name}: {states[-1]}", flush=True)
    if any(state.startswith("failed") for state in states):
        return FAILED
    return LEFT if {"unfinished", "not run"} & set(states) else 0


def what_is_missing(asked: argparse.Namespace) -> str | None:
    if not asked.images.is_file():
        return f"{asked.images} is no file: give CIFAR-10's images as .npz (x_train, y_train, x_test, y_test)"
    if not asked.tiny and not import_module("gpu_parts.case").on_card():
        return "torch finds no CUDA device here: check the driver with nvidia-smi, or give --tiny, a dry run on a CPU"
    return None


def in_process(asked: argparse.Namespace, name: str, seconds: float) -> None:
    """A part in a process of its own, which a broken card takes with it; it and its children end with their time."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    words = ["--minutes", str(seconds / 60), *(["--tiny"] * asked.tiny), *(["--commit", asked.commit or ""])]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with (asked.folder / f"{name}.log").open("a") as log:
        child = subprocess.Popen(
            [sys.executable, __file__, "measure", str(asked.folder), str(asked.images), name, *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            child.wait(seconds + GRACE)
        except subprocess.TimeoutExpired:
            log.write("its time was over\n")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if child.returncode:
        found = found_in(asked.folder, name) or {"rows": {}, "left": []}
        save(asked.folder, name, {**found, "failed": last_line(asked.folder / f"{name}.log")})


def measure(asked: argparse.Namespace) -> None:
    """The cases of one part: those that nobody has tried first, then those that failed."""
    end = time.monotonic() + 60 * asked.minutes
    (name,) = asked.parts
    case = import_module("gpu_parts.case")
    module, function = PARTS[name].cases.split(":")
    told = case.Asked(asked.folder / name, asked.images, asked.tiny, end)
    cases: dict[str, Callable[[], Row]] = getattr(import_module(f"gpu_parts.{module}"), function)(told)
    earlier = found_in(asked.folder, name)
    rows: dict[str, Row] = dict(earlier["rows"]) if earlier and earlier.get("tiny") == asked.tiny else {}
    found = {"tiny": asked.tiny, "machine": case.machine(asked.commit)}

    def keep() -> None:
        left = [each for each in cases if each not in rows or "unfinished" in rows[each]]
        save(asked.folder, name, {**found, "rows": {each: rows[each] for each in cases if each in rows}, "left": left})

    to_do = [each for each in cases if each not in rows or {"failed", "unfinished"} & rows[each].keys()]
    for each in sorted(to_do, key=lambda one: "failed" in rows.get(one, {})):
        if time.monotonic() >= end:
            break
        rows[each] = {"failed": "its process ended meanwhile"}  # which stays, if it does
        keep()
        rows[each] = outcome_of(cases[each], PARTS[name].only_on_card and not case.on_card())
        keep()
    keep()


def outcome_of(case: Callable[[], Row], lacks_card: bool) -> Row:
    if lacks_card:
        return {"skipped": "needs a card"}
    try:
        return case()
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}


def found_in(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def save(folder: Path, name: str, found: Mapping[str, Any]) -> None:
    partial = folder / f"{name}.json.partial"  # a kill leaves the last whole file
    partial.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / f"{name}.json")


def last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "its process died without a word"


def state_of(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not run"
    rows = found["rows"].values()
    failures = [row["failed"] for row in (found, *rows) if "failed" in row]
    if failures:
        return f"failed, {len(failures)} of {len(rows)}: {failures[0]}"
    if found["left"]:
        return "unfinished"
    return "skipped" if all("skipped" in row for row in rows) else "done"


def table(asked: argparse.Namespace) -> None:
    """Print all parts as Markdown."""
    results = {name: found_in(asked.folder, name) for name in PARTS}
    print("## On a card\n\n`python docs/measured/gpu_proof.py run FOLDER IMAGES.npz`, on")
    machines: dict[str, list[str]] = {}
    for name, found in results.items():
        if found and "machine" in found:
            words = ", ".join(f"{what} {which}".strip() for what, which in found["machine"].items())
            machines.setdefault(words + "; tiny sizes: a dry run" * found["tiny"], []).append(name)
    for words, names in machines.items():
        print(f"\n- {words} ({', '.join(names)})")
    for name, found in results.items():
        print(f"\n### {name}\n\n{PARTS[name].what}\n")
        print("\n".join(lines_of(found)) if found and found["rows"] else f"*{state_of(found)}*")


def lines_of(found: Mapping[str, Any]) -> Sequence[str]:
    """A part's table; where it has a word instead of figures, in a last column."""
    rows = with_ratios(found["rows"])
    columns = list(dict.fromkeys(column for row in rows.values() for column in row if column not in CAME_OF_IT))
    words = {case: "; ".join(f"{how}: {row[how]}" for how in CAME_OF_IT if how in row) for case, row in rows.items()}
    beside = any(words.values())
    lines = [cells(["", *columns, *([""] * beside)]), "|:---|" + "---:|" * len(columns) + ":---|" * beside]
    for case, row in rows.items():
        lines.append(cells([case, *(shown(row.get(column)) for column in columns), *([words[case]] * beside)]))
    if "failed" in found:
        lines += ["", f"*failed: {found['failed']}*"]
    return lines + ["", f"*left to do: {', '.join(found['left'])}*"] * bool(found["left"])


def with_ratios(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Each case, such as `init: fp16`, against the original's of the same group."""

    def ratio(case: str, row: Row) -> Row:
        original = rows.get(f"{case.partition(': ')[0]}: original", {}).get("seconds")
        return {**row, "×": original / row["seconds"]} if original and row.get("seconds") else row

    return {case: ratio(case, row) for case, row in rows.items()}


def cells(words: Sequence[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def shown(value: Any) -> str:
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
