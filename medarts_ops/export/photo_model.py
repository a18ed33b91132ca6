"""What an MLflow model answers photos with. The model carries this file along, with all of the package that it imports.

So it answers where the package is not installed: what is imported here and below it must be there with MLflow, torch
and Pillow.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medarts_ops.data.image_files import why_unreadable
from medarts_ops.data.image_stream import read_image
from medarts_ops.export.names import PT2_DESCRIPTION

NETWORK = "network.pt2"

IMAGE, CLASS, PROBABILITY, PROBABILITIES = "image", "class", "probability", "probabilities"
BATCH = 64


class PhotoModel:
    """The network in a folder, as MLflow calls it."""

    def __init__(self, folder: Path) -> None:
        held: dict[str, Any] = {PT2_DESCRIPTION: ""}
        self._module = torch.export.load(folder / NETWORK, extra_files=held).module()
        self._description: dict[str, Any] = json.loads(held[PT2_DESCRIPTION])

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The class of each photo, its probability, and those of all classes, by name.

        Photos stand in the column `image`: files of images, of any size and format that Pillow reads, as text in
        base64. They are brought to the network's size as its training images were.

        Raises:
            ValueError: one is no base64, or no image.
        """
        texts = list(model_input[IMAGE])
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), BATCH):
            rows.extend(self._probabilities(texts[start : start + BATCH], start))
        names: Sequence[str] = self._description["class_names"]
        best = [int(row.argmax()) for row in rows]
        return pd.DataFrame(
            {
                CLASS: [names[place] for place in best],
                PROBABILITY: [float(row[place]) for row, place in zip(rows, best, strict=True)],
                PROBABILITIES: [dict(zip(names, map(float, row), strict=True)) for row in rows],
            }
        )

    @torch.no_grad()
    def _probabilities(self, texts: Sequence[str], start: int) -> NDArray[np.float32]:
        read = partial(_read, description=self._description)
        with ThreadPoolExecutor() as pool:
            images = np.stack(list(pool.map(read, range(start, start + len(texts)), texts)))
        pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32))
        probabilities: NDArray[np.float32] = self._module(pixels).softmax(dim=1).numpy()
        return probabilities


def _read(number: int, text: str, description: dict[str, Any]) -> NDArray[np.uint8]:
    from PIL import UnidentifiedImageError

    height, width = description["resolution"]
    try:
        # What browsers give begins with "data:image/jpeg;base64,", what programs give may be broken into lines.
        content = base64.b64decode("".join(text.rpartition(",")[2].split()), validate=True)
    except ValueError as error:
        raise ValueError(f"image {number} is no base64 ({error}): give a file of an image in base64") from error
    try:
        return read_image(
            io.BytesIO(content), (height, width), description["in_channels"], description.get("fit", "squash")
        )
    except UnidentifiedImageError as error:
        raise ValueError(f"image {number} is no image that Pillow reads: give a file of one in base64") from error
    except Exception as error:  # Pillow's plugins answer a torn file with almost any
        raise ValueError(f"image {number} can't be read ({why_unreadable(error)}): give another") from error


def _load_pyfunc(path: str) -> PhotoModel:
    """What MLflow asks of a model's module."""
    return PhotoModel(Path(path))
