"""What an experiment trains: networks, the setting that they are trained with, and arms made of both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, SearchConfig
from medarts_ops.experiment import Arm, ExperimentKind, ExperimentPlan, Scale, Source
from medarts_ops.observers import DatasetSummary
from medarts_ops.space.genotype import Genotype

LONGEST_NAME = 40
"""Characters of an arm's name, which is part of the names of its jobs: these have 100 in all."""


class Network(NamedTuple):
    """A genotype to train, and what is known of it; the last four are as in `Arm`."""

    name: str
    genotype: Genotype
    description: str = ""
    source: Source | None = None
    method: str | None = None
    search_seconds: float | None = None
    published_as: str | None = None


class AskedNetworks(NamedTuple):
    """Which networks are asked for; each table and figure knows some of these.

    Attributes:
        search: of table4, the finished search whose line of descent is followed.
        all_parents: of table4, whether it is followed to all parents of a child.
        run_ids: of table3, runs that have a genotype.
        zoo: of table3, names of published genotypes.
        of: of figures, the search whose individuals are the networks; random networks if None.
        n: of figures, how many; the scale's number if None, and as many as the search has.
        sizes: of fig5, the numbers of training images; even steps if None.
    """

    search: str | None = None
    all_parents: bool = False
    run_ids: Sequence[str] = ()
    zoo: Sequence[str] = ()
    of: str | None = None
    n: int | None = None
    sizes: Sequence[int] | None = None


class ArmSettings(NamedTuple):
    """One of the things swept over, as it is asked for: a search, an evaluation of what it finds, or of a `genotype`.

    `subject` says in words which it is; `name` is a part of its jobs' names, made of the subject if empty.
    """

    subject: str
    search: SearchConfig | None = None
    evaluation: EvaluateConfig | None = None
    genotype: Genotype | None = None
    name: str = ""


class Setting(NamedTuple):
    """How genotypes are trained, and on which images."""

    config: ResolvedEvaluateConfig
    dataset: DatasetSummary


def plan_networks(
    kind: ExperimentKind,
    networks: Sequence[Network],
    settings: Mapping[str, Setting],
    *,
    seeds: Sequence[int],
    scale: Scale,
    workers: int,
) -> ExperimentPlan:
    """Each network under each condition, `settings` by their names (empty for one alone), with each seed."""
    return ExperimentPlan(
        kind=kind,
        scale=scale,
        seeds=tuple(seeds),
        arms=tuple(arm for name, setting in settings.items() for arm in arms_of(networks, setting, name)),
        datasets={setting.dataset.fingerprint: setting.dataset for setting in settings.values()},
        workers=workers,
    )


def arms_of(networks: Sequence[Network], setting: Setting, condition: str = "") -> tuple[Arm, ...]:
    """An arm for each network under one condition; of networks of the same name the second is called `name-2`."""
    subjects = _told_apart([network.name for network in networks])
    ending = f".{key_of(condition)}" if condition else ""
    names = distinct_names(subjects, LONGEST_NAME - len(ending))
    return tuple(
        Arm(
            name=f"{name}{ending}",
            subject=subject,
            condition=condition,
            description=network.description,
            fingerprint=setting.dataset.fingerprint,
            evaluation=setting.config,
            genotype=network.genotype,
            source=network.source,
            method=network.method,
            search_seconds=network.search_seconds,
            published_as=network.published_as,
        )
        for network, subject, name in zip(networks, subjects, names, strict=True)
    )


def distinct_names(wished: Sequence[str], longest: int = LONGEST_NAME) -> list[str]:
    """Words as arms' names of at most `longest` characters, each once: of two that are the same the second is `…-2`."""
    slugs = [re.sub(r"[^A-Za-z0-9_.]+", "-", words).strip(".-") or "arm" for words in wished]
    return _told_apart([slug if len(slug) <= longest else slug[: longest - 5].rstrip(".-") for slug in slugs], longest)


def key_of(words: str) -> str:
    """Words as part of a name: `16x16` for `16×16`, `1000_images` for `1,000 images`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", words.replace("×", "x").replace(",", "")).strip("_")


def _told_apart(names: Sequence[str], longest: int | None = None) -> list[str]:
    told: list[str] = []
    for name in names:
        numbered = (f"{name[: longest and longest - 5]}-{number}" for number in range(2, len(names) + 2))
        told.append(name if name not in told else next(each for each in numbered if each not in {*told, *names}))
    return told
