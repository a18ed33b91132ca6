"""The names of exported networks' formats, and of what is in them, for whoever lists them without loading torch."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["pt2", "onnx", "safetensors"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""The formats, each the ending of its files, too."""

METADATA = "medarts"
"""The key of the description, as JSON, in a file's metadata."""

PT2_DESCRIPTION = f"{METADATA}.json"
"""The name of the description among the extra files of a pt2 archive."""
