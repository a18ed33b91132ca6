"""Seeds, values to vary and files of sweeps, good and bad: 2,000 cases each."""

from __future__ import annotations

import re
from typing import Any

from fuzzing import FUZZED, PIECES, mutated, nested, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from medarts_ops.configs.loader import Request
from medarts_ops.configs.seed_list import MAX_SEEDS, parse_seeds
from medarts_ops.configs.sweep_arms import AskedSweep, arms_of
from medarts_ops.configs.sweep_file import SweepFile, parse_sweep_file
from medarts_ops.configs.vary import parse_vary
from medarts_ops.experiments.network import LONGEST_NAME

WORD = st.sampled_from(
    ["strategy.order", "first", "weights.lr", "0.1", "seed", "evaluate.epochs", "stages.0", "[", "]"]
)
FILE = """
extends: digits
search: {strategy: {order: first}}
evaluate: {epochs: 2}
vary:
  weights.lr: [0.025, 0.1]
  evaluate.epochs: [1, 2]
seeds: 0-2
evaluate_found: true
"""


@FUZZED
@given(st.text(max_size=30) | st.lists(st.sampled_from(["0", "9", "-", ",", " ", "²", "1" * 12])).map("".join))
def test_any_text_is_seeds_or_refused(text: str) -> None:
    seeds = read_or_refused(lambda: parse_seeds(text))
    assert seeds is None or 0 < len(set(seeds)) == len(seeds) <= MAX_SEEDS


@FUZZED
@given(nested(WORD))
def test_any_plain_data_are_seeds_or_refused(data: Any) -> None:
    read_or_refused(lambda: parse_seeds(data, "seeds"))


@FUZZED
@given(st.text(max_size=60) | st.lists(WORD | PIECES | st.sampled_from(["=", ",", ": "]), max_size=12).map("".join))
def test_any_text_is_what_is_varied_or_refused(text: str) -> None:
    read_or_refused(lambda: parse_vary(text))


@FUZZED
@given(mutated(FILE))
def test_a_changed_sweep_file_is_a_sweep_or_refused(text: str) -> None:
    said: SweepFile | None = read_or_refused(lambda: parse_sweep_file(text, "sweep file x.yaml"))
    if said is None or len(said.vary) > 3:
        return
    asked = AskedSweep(Request(config_file=said.settings), said.vary, {}, said.evaluate_found)
    for arm in read_or_refused(lambda: arms_of(asked)) or ():
        assert re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}", arm.name)
