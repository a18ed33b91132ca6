"""Source files that a model carries along, so that it answers where this package is not installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "medarts_ops"

CARRIED = "medarts_photos"
"""What the package is called within a model: an installed one is another, and may be of another release."""


def carried_name(module: str) -> str:
    """A module's name within a model."""
    return f"{CARRIED}{module.removeprefix(PACKAGE)}"


def carry(module: str, folder: Path) -> Path:
    """Copy the sources of a module, and of all of this package that it and they import, into a package in `folder`."""
    root = folder / CARRIED
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = find_spec(name)
        assert found is not None and found.origin is not None
        source = Path(found.origin).read_text(encoding="utf-8")
        target = root.joinpath(*name.split(".")[1:]).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.replace(f"{PACKAGE}.", f"{CARRIED}."), encoding="utf-8")
        waiting.extend(_imported(ast.parse(source)))
    for place in (root, *(path for path in root.rglob("*") if path.is_dir())):
        (place / "__init__.py").touch()
    return root


def _imported(node: ast.AST) -> Iterator[str]:
    """The modules of this package that are imported when the code runs; ours import names from modules alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith(f"{PACKAGE}."):
            yield str(child.module)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _imported(child)
