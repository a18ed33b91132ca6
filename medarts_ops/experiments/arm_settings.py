"""One of the things that a sweep compares, as it is asked for: a value without anything heavy."""

from __future__ import annotations

from typing import NamedTuple

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.space.genotype import Genotype


class ArmSettings(NamedTuple):
    """One of the things swept over, as it is asked for: a search, an evaluation of what it finds, or of a `genotype`.

    `subject` says in words which it is; `name` is a part of its jobs' names, made of the subject if empty.
    """

    subject: str
    search: SearchConfig | None = None
    evaluation: EvaluateConfig | None = None
    genotype: Genotype | None = None
    name: str = ""
