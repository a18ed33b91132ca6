"""What `medarts show` lists below a run, on terminals of usual widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from medarts_ops.cli.show_parts import print_individuals
from medarts_ops.objectives.shown import objective

OBJECTIVES = {
    "accuracy": 0.4321,
    "params": 3_349_342.0,
    "macs": 527_000_000.0,
    "latency": 0.01234,
    "derived_accuracy": 0.8765,
    "valid_loss": 1.5,
}


@pytest.mark.parametrize("width", [80, 120])
def test_no_value_of_an_individual_is_cut_however_many_objectives_it_has(width: int) -> None:
    names = [f"a-stage-with-a-long-name-{number:02}" for number in range(3)]
    rows = [
        {"name": name, "origin": "crossover", "stage": "init", "status": "FINISHED", "objectives": OBJECTIVES}
        | {"front": 0, "chosen": False, "survivor": True}
        for name in names
    ]
    written = io.StringIO()
    print_individuals(Console(file=written, width=width), rows, most=10)
    heading, *lines = written.getvalue().splitlines()
    assert heading.split() == ["individual", "origin", *OBJECTIVES, "front"]
    values = " ".join(objective(name, value) for name, value in OBJECTIVES.items())
    assert [" ".join(line.split()) for line in lines] == [f"{name} crossover {values} 0 survivor" for name in names]
