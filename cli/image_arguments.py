"""The image files that words of a command line mean: files, folders with all below them, and patterns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medarts_ops.data.folder_tree import images_below, in_words
from medarts_ops.errors import DataError

_IN_PATTERNS = frozenset("*?[")


class GivenImages(NamedTuple):
    """Image files, each once, what was given and is none with the reason, and sentences on what was passed over."""

    paths: tuple[Path, ...]
    missing: tuple[tuple[Path, str], ...]
    remarks: tuple[str, ...]


def images_given(words: Sequence[str]) -> GivenImages:
    """The images that files, folders and patterns mean, in that order; those of one folder or pattern are sorted.

    Below a folder are images by their endings, as in class folders (`data/folder_tree.py`); a file that is named by
    itself is taken for one whatever its ending. A pattern that the shell left alone is Python's, `**` for any depth.
    """
    paths: dict[Path, None] = {}
    missing: list[tuple[Path, str]] = []
    passed_over: Counter[str] = Counter()
    for path in (path for word in words for path in _meant(word)):
        if not os.path.isdir(path):
            if not os.path.lexists(path) and _IN_PATTERNS.intersection(str(path)):
                missing.append((path, "no file matches this pattern; `**` is for folders of any depth"))
            elif os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
                missing.append((path, "neither a file nor a folder"))
            else:
                paths[path] = None
            continue
        try:
            found, others = images_below(path)
        except DataError as error:
            missing.append((path, str(error)))
            continue
        passed_over.update(others)
        paths.update(dict.fromkeys(found))
        if not found:
            missing.append((path, "a folder without images"))
    return GivenImages(tuple(paths), tuple(missing), in_words(passed_over))


def _meant(word: str) -> Iterator[Path]:
    """The files and folders that a word names; itself if there are none, so that it is missed by name."""
    place = os.path.expanduser(word)
    matching = [] if os.path.exists(place) else sorted(glob.glob(place, recursive=True))
    yield from map(Path, matching or [place])
