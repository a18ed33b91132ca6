"""Plans of the paper's tables and figures: their networks are found in the store, or published, or random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.errors import ConfigError, RunError, SearchError
from medarts_ops.experiment import ExperimentKind, ExperimentObserver, ExperimentPlan, Scale, Source
from medarts_ops.experiments.checks import check_can_be_trained
from medarts_ops.experiments.network import AskedNetworks, Network, Setting, plan_networks
from medarts_ops.experiments.pairs import low_config, plan_fig5, plan_fig6
from medarts_ops.experiments.scales import default_networks
from medarts_ops.experiments.table3 import zoo_network
from medarts_ops.experiments.table4 import descent_networks
from medarts_ops.individual import RankedIndividual, StageResult
from medarts_ops.observers import SearchFinished
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.resolving import resolve_evaluation
from medarts_ops.space.random_genotype import random_genotypes
from medarts_ops.tracking.experiment import OnTraining, TrackedExperiment, tracked_experiment
from medarts_ops.tracking.reading.contents import found_by
from medarts_ops.tracking.reading.relations import Evaluated, find_evaluated
from medarts_ops.tracking.reading.search_report import journal_of
from medarts_ops.tracking.vocabulary import HOURS, INDIVIDUAL_TAG, SEARCH_TAG

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.stored_run import StoredRun

METHOD = "gradient + evolution"
"""How our searches find genotypes, in Table III's words."""

NETWORKS_SEED = 0
"""Fixed: whatever the seeds of the trainings, the random networks are the same."""


class Places(NamedTuple):
    """Where searches are looked for: a store, an experiment of MLflow's, and the work directory for their journals."""

    tracking_uri: str | None = None
    experiment: str | None = None
    work_dir: Path = Path("medarts-work")


def reproduction(
    kind: ExperimentKind,
    config: EvaluateConfig,
    networks: AskedNetworks,
    *,
    seeds: Sequence[int],
    scale: Scale,
    workers: int = 1,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: str | Path = "medarts-work",
) -> ExperimentPlan:
    """All that is trained to make one of the paper's tables or figures; nothing is trained or stored yet.

    Args:
        kind: `table3`, `table4`, `fig5` or `fig6`.
        config: how networks are trained.
        networks: which are compared.
        seeds, scale, workers: as in `ExperimentPlan`.
        tracking_uri, experiment, work_dir: where searches are looked for.

    Raises:
        MedartsError: settings that can't be, too few networks or images; no such run or published genotype, or a run
            without one; a search that is not finished, has too few stages, or whose journal nobody has.
    """
    setting, dataset = _with_images(config)
    places = Places(tracking_uri, experiment, Path(work_dir))
    datasets = {dataset.fingerprint: dataset}
    match kind:
        case "table3" | "table4":
            found = _of_table3(networks, places) if kind == "table3" else _of_table4(networks, places)
            plan = plan_networks(kind, found, {"": setting}, seeds=seeds, scale=scale, workers=workers)
        case "fig5":
            some = _of_figures(networks, scale, places)
            plan = plan_fig5(some, setting, networks.sizes, seeds=seeds, scale=scale, workers=workers)
        case "fig6":
            some = _of_figures(networks, scale, places)
            low, low_dataset = _with_images(low_config(config, setting.dataset.resolution))
            datasets[low_dataset.fingerprint] = low_dataset
            plan = plan_fig6(some, low, setting, seeds=seeds, scale=scale, workers=workers)
        case _:
            raise ConfigError(f"{kind} is no table or figure: allowed are table3, table4, fig5 and fig6")
    _check_all_can_be_trained(plan, datasets)
    return plan


def reproduce(
    kind: ExperimentKind,
    config: EvaluateConfig,
    networks: AskedNetworks,
    *,
    seeds: Sequence[int],
    scale: Scale = "own",
    workers: int = 1,
    name: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    fresh: bool = False,
    observers: Sequence[ExperimentObserver] = (),
    on_training: OnTraining | None = None,
) -> TrackedExperiment:
    """Make one of the paper's tables or figures: what `reproduction` plans, carried out as `tracked_experiment` does.

    Arguments and errors are those of both.
    """
    plan = reproduction(
        kind,
        config,
        networks,
        seeds=seeds,
        scale=scale,
        workers=workers,
        tracking_uri=tracking_uri,
        experiment=experiment,
        work_dir=work_dir,
    )
    return tracked_experiment(
        plan,
        name=name,
        tracking_uri=tracking_uri,
        experiment=experiment,
        work_dir=work_dir,
        pictures=pictures,
        system_metrics=system_metrics,
        fresh=fresh,
        observers=observers,
        on_training=on_training,
    )


def _with_images(config: EvaluateConfig) -> tuple[Setting, ImageDataset]:
    """What is trained and its images, which are read."""
    resolved, dataset = resolve_evaluation(config, side_by_side=True)
    return Setting(resolved, dataset.summary(None)), dataset


def _check_all_can_be_trained(plan: ExperimentPlan, datasets: Mapping[str, ImageDataset]) -> None:
    """Refuse, by a MedartsError, arms that can't be trained on their images, which `datasets` has by fingerprint."""
    for arm in plan.arms:
        assert arm.evaluation is not None, "what the paper shows is trained at full size"
        check_can_be_trained(arm.evaluation, datasets[arm.fingerprint])


def _of_table4(asked: AskedNetworks, places: Places) -> Sequence[Network]:
    """Those of the line of descent of a search."""
    if asked.search is None:
        raise ConfigError("table4 needs the search whose line of descent it follows: give its name or run id")
    stages, sources = _finished_search(asked.search, places)
    return descent_networks(stages, sources, asked.all_parents)


def _of_table3(asked: AskedNetworks, places: Places) -> Sequence[Network]:
    """Found ones, then published ones."""
    told = [*(_found(run_id, places) for run_id in asked.run_ids), *map(zoo_network, asked.zoo)]
    if not told:
        raise ConfigError("table3 has no architecture to train: give RUN_IDs, or --zoo NAME, or both")
    genotypes = [one.genotype for one in told]
    twice = [one.name for n, one in enumerate(told) if one.genotype in genotypes[:n]]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice, or has another's genotype: name each architecture once")
    return told


def _finished_search(given: str, places: Places) -> tuple[tuple[StageResult, ...], dict[str, Source]]:
    """The stages of a finished search, and its individuals' runs by their ids."""
    store, run, search = _evaluated(given, places)
    if run.kind != "search":
        raise RunError(f"run {run.run_id} ({run.name}) is of kind {run.kind}: allowed is a whole search, {search.name}")
    journal = journal_of(store, search, search.tags.get(SEARCH_TAG, search.name), places.work_dir)
    finished = journal.find(SearchFinished)
    if finished is None:
        raise SearchError(
            f"search {search.name!r} is not finished, so what it found is not known: `medarts resume {search.name}` "
            "goes on with it"
        )
    runs = store.runs_of_search(search.experiment_id, finished.result.search_id)
    sources = {
        name: Source(search=finished.result.search_id, individual=name, run_id=each.run_id)
        for each in runs
        if (name := each.tags.get(INDIVIDUAL_TAG)) is not None
    }
    return finished.result.stages, sources


def _found(run_id: str, places: Places) -> Network:
    """The network that a run found."""
    evaluated = _evaluated(run_id, places)
    individual, genotype = found_by(evaluated)
    _, run, search = evaluated
    hours = search.metrics.get(HOURS)
    return Network(
        name=search.name if run.kind == "search" else f"{search.name}/{individual.name}",
        genotype=genotype,
        description=f"{individual.name} of {search.name}",
        source=_source(search, individual),
        method=METHOD,
        search_seconds=None if hours is None else SECONDS_PER_HOUR * hours,
    )


def _of_figures(asked: AskedNetworks, scale: Scale, places: Places) -> Sequence[Network]:
    """Random networks, or those of a search: distinct ones, its last stage's best first."""
    n, of = default_networks(scale) if asked.n is None else asked.n, asked.of
    if of is None:
        made = random_genotypes(n, NETWORKS_SEED)
        return [Network(f"network-{number:02d}", genotype) for number, genotype in enumerate(made, start=1)]
    stages, sources = _finished_search(of, places)
    distinct: dict[str, RankedIndividual] = {}
    for ranked in (each for stage in reversed(stages) for each in stage.ranked):
        distinct.setdefault(ranked.trained.genotype.identity, ranked)
    return [
        Network(each.id, each.trained.genotype, f"{each.id} of {of}", sources.get(each.id))
        for each in list(distinct.values())[:n]
    ]


def _evaluated(given: str, places: Places) -> Evaluated:
    return find_evaluated(given, tracking_uri=places.tracking_uri, experiment=places.experiment)


def _source(search: StoredRun, individual: StoredRun) -> Source:
    names = {"search": search.tags.get(SEARCH_TAG), "individual": individual.tags.get(INDIVIDUAL_TAG)}
    return Source(run_id=individual.run_id, **names)
