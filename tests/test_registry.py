"""Parts by name: built in, registered, announced by installed packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medarts_ops import registry as registry_module
from medarts_ops.errors import ConfigError
from medarts_ops.registry import Registry, announced_parts, register_again, registered

GROUP = "medarts_ops.tests"
Number = Callable[[], int]


def one() -> int:
    return 1


def two() -> int:
    return 2


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Registry[Number]:
    monkeypatch.setattr(registry_module, "_registered", {})
    return Registry("number", "numbers.name", GROUP, {"one": one})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a package of the name given that announces the lines given."""

    def install(name: str, announced: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        announced_parts.cache_clear()
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{announced}\n", encoding="utf-8")

    monkeypatch.syspath_prepend(tmp_path)
    announced_parts.cache_clear()
    yield install
    announced_parts.cache_clear()
    sys.modules.pop("foreign_numbers", None)


def test_a_built_in_part_is_found_by_its_name(numbers):
    assert numbers.get("one") is one and numbers.names() == ("one",)


def test_a_registered_part_is_found_by_its_name(numbers):
    numbers.register("two", two)
    assert numbers.get("two") is two and numbers.names() == ("one", "two")


def test_a_part_of_an_installed_package_is_listed_unloaded_and_loaded_when_it_is_used(numbers, package, tmp_path):
    (tmp_path / "foreign_numbers.py").write_text("def three():\n    return 3\n", encoding="utf-8")
    package("foreign", "three = foreign_numbers:three")
    assert numbers.names() == ("one", "three") and "foreign_numbers" not in sys.modules
    assert numbers.get("three")() == 3


def test_an_unknown_name_lists_all_kinds_and_names_the_near_miss(numbers, package):
    package("foreign", "three = nowhere:three")
    numbers.register("two", two)
    with pytest.raises(ConfigError) as refused:
        numbers.get("thre")
    expected = "numbers.name: unknown number 'thre': allowed are one, three, two; did you mean 'three'?"
    assert str(refused.value) == expected
    with pytest.raises(ConfigError, match=r"^numbers\.3\.name: unknown number"):
        numbers.get("thre", "numbers.3.name")


def test_a_package_that_does_not_load_is_one_line_with_its_name(numbers, package):
    package("foreign", "three = foreign_numbers_that_are_missing:three")
    with pytest.raises(ConfigError, match=r"number 'three' of foreign 1.0 can't be loaded \(ModuleNotFoundError: .*"):
        numbers.get("three")


def test_two_packages_with_one_name_are_refused(numbers, package):
    package("foreign", "three = a:three")
    package("other", "three = b:three")
    with pytest.raises(ConfigError, match=r"foreign 1.0 and other 1.0 both have a number 'three': uninstall one"):
        numbers.get("three")


def test_what_is_no_part_is_refused_wherever_it_comes_from(numbers, package, tmp_path):
    with pytest.raises(ConfigError, match="number 'two' is of type int: allowed is Callable"):
        numbers.register("two", 2)
    (tmp_path / "foreign_numbers.py").write_text("three = 3\n", encoding="utf-8")
    package("foreign", "three = foreign_numbers:three")
    with pytest.raises(ConfigError, match="numbers.name: number 'three' of foreign 1.0 is of type int"):
        numbers.get("three")


def test_a_taken_name_is_refused(numbers, package):
    numbers.register("two", two)
    package("foreign", "three = a:three")
    for name in ("one", "two", "three"):
        with pytest.raises(ConfigError, match=f"number '{name}' is there already: choose another name"):
            numbers.register(name, two)


@pytest.mark.parametrize("name", ["", "1st", "a.b", "a b", "../a", "a" * 41, "ä", "a\n"])
def test_a_name_that_is_no_plain_word_is_refused(numbers, name):
    with pytest.raises(ConfigError, match="can't be named"):
        numbers.register(name, two)


def test_what_was_registered_is_known_in_a_process_that_is_handed_it(numbers, monkeypatch):
    numbers.register("two", two)
    handed = registered()
    monkeypatch.setattr(registry_module, "_registered", {})
    assert numbers.names() == ("one",)
    register_again(handed)
    assert numbers.get("two") is two


def test_a_part_that_no_other_process_can_import_says_what_to_do(numbers, monkeypatch):
    numbers.register("two", lambda: 2)
    with pytest.raises(ConfigError, match=r"can't be handed to worker processes \(.*lambda.*set runtime.workers to 1"):
        registered()
    monkeypatch.setattr(registry_module, "_registered", {GROUP: {"two": two}})
    handed = registered().replace(b"two", b"owt")
    with pytest.raises(ConfigError, match=r"can't import what was registered \(AttributeError: .*set runtime.workers"):
        register_again(handed)


def test_asking_for_built_in_parts_reads_no_packages():
    code = (
        "import importlib.metadata as m\nm.entry_points = None\n"
        "from medarts_ops.registry import Registry\nprint(Registry('a', 'b', 'c', {'x': print}).get('x') is print)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
