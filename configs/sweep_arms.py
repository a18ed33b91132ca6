"""The arms of a sweep: from what is asked for and what is varied to the settings of each combination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from medarts_ops.configs.layers import parse_assignment, replacements
from medarts_ops.configs.loader import Request, after_search, extended_preset, resolve_evaluate, resolve_search
from medarts_ops.configs.presets import SECTIONS, Section, preset_names
from medarts_ops.configs.seed_list import check_no_seed_is_set
from medarts_ops.configs.vary import (
    EVALUATION_PREFIX,
    PRESET,
    Axis,
    Point,
    assignment,
    axes_of,
    check_nothing_is_set_twice,
    grid,
)
from medarts_ops.errors import ConfigError, unknown_name
from medarts_ops.experiments.network import ArmSettings, distinct_names
from medarts_ops.space.genotype import Genotype


class AskedSweep(NamedTuple):
    """A sweep as it is asked for.

    `request` has the settings that all combinations share, `varied` the values of each path, of which `preset` is one.
    With `genotypes`, by the names that people know them by, these are trained; without, searches are made, and what
    they find is trained where `evaluate_found`. Settings of that evaluation have paths that begin with `evaluate.`
    """

    request: Request
    varied: Mapping[str, tuple[object, ...]]
    genotypes: Mapping[str, Genotype]
    evaluate_found: bool = False


def arms_of(asked: AskedSweep) -> tuple[ArmSettings, ...]:
    """The settings of each combination, genotypes one after the other.

    Raises:
        ConfigError: an unknown setting, a wrong value, settings that contradict, or two combinations that are the same.
    """
    section: Section = "evaluate" if asked.genotypes else "search"
    axes = axes_of(asked.varied, section, with_evaluation=asked.evaluate_found)
    sets = _sets_by_section(asked, section)
    options = [path for path, _ in replacements(asked.request.options or {}) if path]
    given = {
        part: [
            *((path, "an option") for path in options),
            *((parse_assignment(text)[0], "--set") for text in sets[part]),
        ]
        for part in SECTIONS
    }
    check_nothing_is_set_twice(axes, given)
    _check_presets(axes, asked.request)
    requests = {part: asked.request._replace(sets=sets[part]) for part in SECTIONS}
    if section == "search":
        arms = [_searched(point, axes, requests, asked.evaluate_found) for point in grid(axes)]
    else:
        arms = list(_trained(axes, requests["evaluate"], asked.genotypes))
    _check_they_differ(arms)
    return tuple(arms)


def _sets_by_section(asked: AskedSweep, section: Section) -> dict[Section, tuple[str, ...]]:
    """The `--set` texts of searches and of evaluations, the latter without their prefix."""
    of_evaluation = [text for text in asked.request.sets if text.lstrip().startswith(EVALUATION_PREFIX)]
    if of_evaluation and section == "search" and not asked.evaluate_found:
        raise ConfigError(f"--set {of_evaluation[0]} is of the evaluation, and nothing is evaluated: add --evaluate")
    inner = tuple(text.lstrip().removeprefix(EVALUATION_PREFIX) for text in of_evaluation)
    others = tuple(text for text in asked.request.sets if text not in of_evaluation)
    if section == "search":
        return {"search": others, "evaluate": inner}
    return {"search": (), "evaluate": (*others, *inner)}


def _searched(
    point: Point, axes: Sequence[Axis], requests: Mapping[Section, Request], evaluate_found: bool
) -> ArmSettings:
    search = resolve_search(_at(requests["search"], "search", axes, point))
    check_no_seed_is_set(search.changed_by)
    evaluation = None
    if evaluate_found:
        request = after_search(
            _at(requests["evaluate"], "evaluate", axes, point),
            search.config.preset,
            search.config.dataset.model_dump(mode="json"),
        )
        resolved = resolve_evaluate(request)
        check_no_seed_is_set(resolved.changed_by)
        evaluation = resolved.config
    return ArmSettings(point.subject, search.config, evaluation, name=point.name)


def _trained(axes: Sequence[Axis], request: Request, genotypes: Mapping[str, Genotype]) -> Iterator[ArmSettings]:
    points = grid(axes)
    several = len(genotypes) > 1
    wished = [
        [*([genotype] if several or not axes else []), *([point.name] if axes else [])]
        for genotype in genotypes
        for point in points
    ]
    names = iter(distinct_names([".".join(words) for words in wished]))
    for known_as, genotype in genotypes.items():
        for point in points:
            resolved = resolve_evaluate(_at(request, "evaluate", axes, point))
            check_no_seed_is_set(resolved.changed_by)
            subject = ", ".join([*([known_as] if several or not axes else []), *([point.subject] if axes else [])])
            yield ArmSettings(subject, None, resolved.config, genotype, next(names))


def _at(request: Request, section: Section, axes: Sequence[Axis], point: Point) -> Request:
    """The request at one point of the grid; a preset is that of search and evaluation alike."""
    at = list(zip(axes, point.values, strict=True))
    sets = [assignment(axis, value) for axis, value in at if axis.section == section and axis.path != PRESET]
    preset = next((value for axis, value in at if axis.path == PRESET), request.preset)
    return request._replace(preset=preset, sets=(*request.sets, *sets))


def _check_presets(axes: Sequence[Axis], request: Request) -> None:
    varied = next((axis.values for axis in axes if axis.path == PRESET), None)
    if varied is None:
        return
    for source, given in (("--preset", request.preset), ("extends in the file", extended_preset(request))):
        if given is not None:
            raise ConfigError(f"preset is varied, and {source} names {given}: give one of the two")
    known = preset_names()
    for value in varied:
        if value not in known:
            raise ConfigError(f"--vary preset: {unknown_name('preset', str(value), known)}")


def _check_they_differ(arms: Sequence[ArmSettings]) -> None:
    seen: dict[tuple[str, ...], ArmSettings] = {}
    for arm in arms:
        parts = (arm.search, arm.evaluation, arm.genotype)
        settings = tuple("" if part is None else part.model_dump_json() for part in parts)
        if settings in seen:
            raise ConfigError(
                f"{seen[settings].subject!r} and {arm.subject!r} come to the same settings: give each value once"
            )
        seen[settings] = arm
