"""The compose file as Compose reads it: anchors merged, variables filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose(**variables: str) -> dict[str, Any]:
    """The whole file.

    Args:
        variables: what `.env` or the environment would hold.

    Raises:
        LookupError: a variable without a default is missing; with the file's own message.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if given := variables.get(name):
            return given
        if kind != "-":
            raise LookupError(f"{name}: {text}")
        return str(text)

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [filled(inner) for inner in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    document: dict[str, Any] = filled(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return document


def mounted(service: dict[str, Any], target: str) -> str:
    """What the service mounts on that path or on one below it: a volume's name or a path of the host."""
    mounts = [mount.split(":") for mount in service["volumes"]]
    return str(next(mount[0] for mount in mounts if mount[1] == target or mount[1].startswith(f"{target}/")))
