"""The names of the formats of exported networks, for whoever lists them without loading torch."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["pt2", "onnx", "safetensors"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""The formats, each the ending of its files, too."""
