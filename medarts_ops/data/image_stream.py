"""Image files one by one: any number of them, each read or not, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from medarts_ops.data.image_files import LARGE, decode, pixels_up_to, read_header
from medarts_ops.settings import Fit

_ONE_LARGE_AT_A_TIME = Lock()

Read = NDArray[np.uint8] | Exception
"""An image, [height, width, channel], or why it can't be read."""


def read_image(source: Path | BinaryIO, size: tuple[int, int], channels: int, fit: Fit) -> NDArray[np.uint8]:
    """One image, a file or its bytes, brought to a height and width as `read_files` brings it there.

    With one channel a colour image becomes grey, with three a grey one has three that are equal. Raises whatever Pillow
    raises.
    """
    from PIL.Image import fromarray

    header = read_header(source, size_counts=False)
    is_large = header.height * header.width > LARGE
    with _ONE_LARGE_AT_A_TIME if is_large else nullcontext():
        image = decode(source, size, 1 if header.is_grayscale else 3, fit)
    if channels < image.shape[2]:
        return np.asarray(fromarray(image).convert("L"))[..., np.newaxis]
    return np.repeat(image, 3, axis=2) if channels > image.shape[2] else image


def read_one_by_one(
    paths: Iterable[Path], size: tuple[int, int], channels: int, fit: Fit, *, max_pixels: int, ahead: int
) -> Generator[Read]:
    """What `read_image` gives for each file, in their order, or why it can't be read.

    Threads decode, `ahead` images at most before they are asked for. One of more than `max_pixels` can't be read.
    """
    waiting: deque[Future[Read]] = deque()
    read = partial(_read, size=size, channels=channels, fit=fit)
    with pixels_up_to(max_pixels), ThreadPoolExecutor() as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(read, path))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # whoever stops asking waits for no other image


def _read(path: Path, size: tuple[int, int], channels: int, fit: Fit) -> Read:
    try:
        return read_image(path, size, channels, fit)
    except Exception as error:  # Pillow's plugins answer a torn file with almost any; each means that it can't be read
        return error
