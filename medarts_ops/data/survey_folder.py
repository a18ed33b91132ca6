"""A survey of a folder of images: each file is opened, decoded and hashed, and whatever is wrong is written down."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from medarts_ops.config import DatasetConfig
from medarts_ops.data.folder import (
    ClassFiles,
    beside_class_folders,
    class_files,
    part_folders,
    part_to_test_on,
    problems_of_links,
    problems_of_parts,
)
from medarts_ops.data.folder_tree import in_words
from medarts_ops.data.image_files import LARGE, check_decodes, pixels_up_to, read_header, reason_alone
from medarts_ops.data.loading import telling
from medarts_ops.data.survey import Looked, Role, Survey, Unreadable, surveyed
from medarts_ops.errors import DataError, check_is_utf8

KINDS = {
    "1": "grey",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGB": "colour",
    "RGBX": "colour",
    "RGBA": "colour with alpha",
}
"""Pillow's modes in words; other modes keep their names, but for those of 16 bits."""


class _File(NamedTuple):
    path: Path
    name: str
    part: str
    class_name: str


def survey_folder(data: str, config: DatasetConfig) -> Survey:
    """What is in a folder that `load_folder` would read. What is wrong with it is a problem, not an error."""
    root = Path(os.path.expanduser(data))
    passed_over: Counter[str] = Counter()
    parts: dict[str, ClassFiles] = {}
    remarks: list[str] = []
    problems: list[str] = []
    try:
        check_is_utf8(data, "the folder's name", DataError)
        folders = part_folders(root)
        parts = {name: class_files(folder, passed_over) for name, folder in folders.items()}
        remarks = [*in_words(passed_over), *beside_class_folders(root, folders)]
        problems = [*_problems(root, parts, passed_over)]
    except DataError as error:
        problems.append(str(error))
    found = list(_looked_at(root, parts, config.max_pixels))
    test = part_to_test_on(parts)
    roles: dict[str, Role] = {name: "test" if name == test else "training" for name in parts}
    return surveyed(
        "folder",
        data,
        classes=list(dict.fromkeys(name for part in parts.values() for name in part)),
        roles=roles,
        images=[each for each in found if isinstance(each, Looked)],
        unreadable=[each for each in found if isinstance(each, Unreadable)],
        passed_over=passed_over,
        remarks=remarks,
        problems=problems,
    )


def _problems(root: Path, parts: Mapping[str, ClassFiles], passed_over: Counter[str]) -> Iterator[str]:
    yield from problems_of_parts(root, parts, passed_over)
    yield from problems_of_links(parts)
    for name in parts["train"]:
        try:
            check_is_utf8(name, "the class name", DataError)
        except DataError as error:
            yield str(error)


def _looked_at(root: Path, parts: Mapping[str, ClassFiles], max_pixels: int) -> Iterator[Looked | Unreadable]:
    """What comes of each image file, in order. Threads decode; of large images one at a time, for memory's sake."""
    files = [
        _File(path, os.path.relpath(path, root), part, name)
        for part, classes in parts.items()
        for name, paths in classes.items()
        for path in paths
    ]
    with pixels_up_to(max_pixels), ThreadPoolExecutor() as pool:
        yield from telling("images looked at", pool.map(partial(_look_at, large=Lock()), files), len(files))


def _look_at(file: _File, large: Lock) -> Looked | Unreadable:
    try:
        header = read_header(file.path, size_counts=True)
        if header.height * header.width > LARGE:
            with large:
                check_decodes(file.path)
        else:
            check_decodes(file.path)
        with file.path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
        n_bytes = file.path.stat().st_size
    except Exception as error:  # Pillow's plugins answer a torn file with almost any; each means that it can't be read
        return Unreadable(file.name, file.part, file.class_name, reason_alone(file.path, error))
    kind = "grey 16 bit" if header.mode.startswith("I") else KINDS.get(header.mode, header.mode)
    return Looked(
        file.name, file.part, file.class_name, header.height, header.width, kind, header.format, n_bytes, digest
    )
