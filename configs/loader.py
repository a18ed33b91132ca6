"""From preset, config file, options and `--set` to one checked config, and who set what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_parsing import parse_config
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.config_writing import settings_of
from medarts_ops.configs import presets
from medarts_ops.configs.layers import Layer, deep_merge, leaves, parse_assignment, replacements, with_setting
from medarts_ops.configs.presets import DEFAULT_PRESET, Section, SettingsFile
from medarts_ops.errors import ConfigError

Config = TypeVar("Config", SearchConfig, EvaluateConfig)

DATA_VARIABLE = "MEDARTS_DATA_DIR"

_WITHOUT_FILES = ("digits",)
"""Datasets that come with a library and refuse `dataset.data`."""


class Request(NamedTuple):
    """What is asked for, from the lowest layer to the highest.

    `preset` is a name; None takes the `extends` of `config_file`, which has a preset's form, else the preset of the
    dataset that is asked for, else `usual_preset`. `below` are layers over the preset and under all that follows (a
    stored run), `config_file` may have been read already, `options` are what named options gave, `sets` are
    `dotted.path=value`, later ones over earlier ones.
    `data_folder` is what `DATA_VARIABLE` says. It is under all layers: a machine-wide folder says less than a run or a
    config file that names one, and nothing to a dataset that comes with a library.
    """

    preset: str | None = None
    below: tuple[Layer, ...] = ()
    config_file: Path | SettingsFile | None = None
    options: Mapping[str, Any] | None = None
    sets: Sequence[str] = ()
    usual_preset: str = DEFAULT_PRESET
    data_folder: str | None = None


class Resolved(NamedTuple, Generic[Config]):
    """A config, and for every setting that some layer gave (by dotted path) the highest such layer."""

    config: Config
    changed_by: Mapping[str, str]


class SettingRow(NamedTuple):
    """A `Setting` of a config, and `changed_by`: the layer that set it (preset …, option, --set, …), or `default`."""

    path: str
    value: Any
    changed_by: str
    origin: str
    description: str


def resolve_search(request: Request) -> Resolved[SearchConfig]:
    """The search that `request` asks for, and who set what.

    Raises:
        ConfigError: an unknown preset, dataset or setting, a value out of range, or settings that contradict.
    """
    return _resolve(SearchConfig, "search", request)


def resolve_evaluate(request: Request) -> Resolved[EvaluateConfig]:
    """The evaluation that `request` asks for, and who set what; errors as of `resolve_search`."""
    return _resolve(EvaluateConfig, "evaluate", request)


def resolved_table(config: SearchConfig | EvaluateConfig, changed_by: Mapping[str, str]) -> list[SettingRow]:
    """All settings of `config` in the model's order; `changed_by` is what resolving the config gave."""
    return [
        SettingRow(path, value, _set_by(changed_by, path), origin, description)
        for path, value, origin, description in settings_of(config)
    ]


def load_search_config(
    preset: str | None = None,
    *,
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
) -> SearchConfig:
    """The search config of a preset, with a file, options and `dotted.path=value` settings over it.

    Raises:
        ConfigError: see `resolve_search`.
    """
    return resolve_search(Request(preset, (), config_file, options, sets)).config


def load_evaluate_config(
    preset: str | None = None,
    *,
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
) -> EvaluateConfig:
    """As `load_search_config`, for an evaluation."""
    return resolve_evaluate(Request(preset, (), config_file, options, sets)).config


def named_preset(request: Request, section: Section) -> str | None:
    """The preset that is asked for by its own name or by the dataset's; None where `usual_preset` steps in.

    Raises:
        ConfigError: `--preset` and the config file name different ones, or the dataset has none.
    """
    extends = extended_preset(request)
    if request.preset is not None and extends not in (None, request.preset):
        raise ConfigError(
            f"the config file extends {extends!r} and --preset is {request.preset!r}: give one of the two"
        )
    dataset = _asked_dataset(request, section)
    return request.preset or extends or (None if dataset is None else presets.preset_for_dataset(dataset))


def extended_preset(request: Request) -> str | None:
    """The preset that the config file extends, if any."""
    return _settings_file(request).extends


def after_search(
    request: Request, preset: str, dataset: Mapping[str, Any], evaluate: Mapping[str, Any] = MappingProxyType({})
) -> Request:
    """The request for an evaluation of a stored search, which gives preset and dataset unless another is asked for.

    `dataset` has the search's dataset settings, or some of them; `name` among them. `evaluate` are the settings of
    evaluations that were kept with it, over those; they may name another dataset, and say nothing where the request
    asks for another.

    Raises:
        ConfigError: an unknown preset or dataset is asked for.
    """
    named = named_preset(request, "evaluate")
    asked = _asked_dataset(request, "evaluate") or (None if named is None else presets.preset_dataset(named))
    kept_for = _named_in(evaluate) or dataset["name"]
    target = asked or kept_for
    # What it searched at half the resolution is trained on the images as they are.
    kept = {key: value for key, value in dataset.items() if value is not None and key != "low_resolution"}
    # Its folder and resolution mean nothing to another dataset.
    stored = (Layer("stored search", {"dataset": kept}),) if target == dataset["name"] else ()
    own = (Layer("stored evaluate", evaluate),) if evaluate and target == kept_for else ()
    if own and not stored:
        preset = presets.preset_for_dataset(target)
    return request._replace(below=(*request.below, *stored, *own), usual_preset=preset)


def _of_other_images(request: Request, section: Section, preset: str) -> Iterator[Layer]:
    """What a dataset's own preset says of its images and of computing on them, over a preset for other images."""
    asked = _asked_dataset(request, section)
    if asked is not None and asked in presets.preset_names() and asked != presets.preset_dataset(preset):
        own = presets.preset_section(asked, section)
        yield Layer(f"dataset {asked}", {name: own[name] for name in ("dataset", "augment", "runtime") if name in own})


def _asked_dataset(request: Request, section: Section) -> str | None:
    named = [dict(map(parse_assignment, request.sets)).get("dataset.name")]
    named += [_named_in(layer) for layer in (request.options or {}, _settings_file(request).section(section))]
    return next((str(name) for name in named if name is not None), None)


def _named_in(settings: Mapping[str, Any]) -> str | None:
    """The dataset that settings name."""
    group = settings.get("dataset")
    name = group.get("name") if isinstance(group, Mapping) else None
    return None if name is None else str(name)


def _resolve(model: type[Config], section: Section, request: Request) -> Resolved[Config]:
    preset: str = named_preset(request, section) or request.usual_preset
    layers = (
        Layer(f"preset {preset}", presets.preset_section(preset, section)),
        *_of_other_images(request, section, preset),
        *request.below,
        Layer("config file", _settings_file(request).section(section)),
        Layer("option", request.options or {}),
    )
    settings = model().model_dump(mode="json")
    changed_by: dict[str, str] = {}
    for layer in layers:
        settings = deep_merge(settings, layer.settings)
        _note(changed_by, layer.settings, layer.source)
    for text in request.sets:
        path, value = parse_assignment(text)
        settings = with_setting(settings, path, value)
        _note(changed_by, value, "--set", path)
    if "preset" in changed_by:
        raise ConfigError("preset can't be set like the rest: name it by --preset, or by extends in a config file")
    config = parse_config(model, settings | {"preset": preset})
    _check_nobody_wrote_a_plan(config.runtime.budget)
    if isinstance(config, SearchConfig):
        from medarts_ops.strategies.registry import strategy_settings

        config = config.model_copy(update={"strategy": strategy_settings(config.strategy)})
    changed_by["preset"] = f"preset {preset}"
    reads_files = config.dataset.name not in _WITHOUT_FILES
    if request.data_folder is not None and reads_files and "dataset.data" not in changed_by:
        dataset = config.dataset.model_copy(update={"data": request.data_folder})
        config = config.model_copy(update={"dataset": dataset})
        changed_by["dataset.data"] = DATA_VARIABLE
    return Resolved(config, changed_by)


def _check_nobody_wrote_a_plan(budget: BudgetConfig) -> None:
    for name, field in BudgetConfig.model_fields.items():
        value = getattr(budget, name)
        if name != "seconds" and value != field.default:
            raise ConfigError(
                f"runtime.budget.{name} is {value}: it is written when a plan is fitted to a time; leave it out and "
                "say the time alone, by --budget or runtime.budget.seconds"
            )


def _set_by(changed_by: Mapping[str, str], path: str) -> str:
    """The layer that set the setting at `path`; a name may have stood for its whole group, and that in a list."""
    above, _, last = path.rpartition(".")
    if path not in changed_by and (last == "name" or last.isdigit()):
        return _set_by(changed_by, above)
    return changed_by.get(path, "default")


def _settings_file(request: Request) -> SettingsFile:
    file = request.config_file
    if file is None:
        return SettingsFile(None, {}, {})
    return presets.read_settings_file(file) if isinstance(file, Path) else file


def _note(changed_by: dict[str, str], settings: Any, source: str, path: str = "") -> None:
    """Records that `source` set all of `settings`, which lie at `path` and may replace whole lists and groups."""
    for place, value in replacements(settings, path):
        for covered in [known for known in changed_by if known == place or known.startswith(f"{place}.")]:
            del changed_by[covered]
        changed_by |= dict.fromkeys(leaves(value, place), source)
