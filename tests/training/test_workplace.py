"""A process keeps what it loaded for the next task of the same data."""

from __future__ import annotations

import pytest
from factories import make_search_runtime

from medarts_ops.config import DatasetConfig
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace

RUNTIME = Runtime.from_config(make_search_runtime())


def test_data_are_loaded_once_for_tasks_of_the_same_source_and_anew_for_another() -> None:
    workplace, loaded = Workplace(RUNTIME), list[str]()

    def load(name: str) -> str:
        loaded.append(name)
        return name.upper()

    digits = [DatasetConfig(name="digits") for _ in range(2)]
    for source, name in ((digits[0], "a"), (digits[1], "a"), ("stage-0.npz", "b"), (digits[0], "a")):
        assert workplace.data_of(source, lambda name=name: load(name)) == name.upper()  # type: ignore[misc]
    assert loaded == ["a", "b", "a"]


def test_what_the_caller_has_loaded_is_not_loaded_again() -> None:
    workplace = Workplace(RUNTIME, "images", source=DatasetConfig(name="digits"))
    assert workplace.data_of(DatasetConfig(name="digits"), lambda: "others") == "images"


def test_data_that_could_not_be_loaded_are_not_taken_for_those_before() -> None:
    workplace = Workplace(RUNTIME, "images", source="a")
    with pytest.raises(OSError):
        workplace.data_of("b", lambda: open("/nowhere/at/all").read())
    assert workplace.data_of("a", lambda: "again") == "again"
