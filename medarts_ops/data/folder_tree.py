"""What lies below a class folder: its images, linked folders included, and a count of the files that are none."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from medarts_ops.data.image_formats import HEIC_ENDINGS, HEIC_REMEDY, begins_as_an_image, endings
from medarts_ops.errors import DataError, os_errors_as
from medarts_ops.quantities import counted

SYSTEM_FOLDERS = frozenset(
    (
        "@eaDir",
        "@Recycle",
        "#recycle",
        "#snapshot",
        "__MACOSX",
        "__pycache__",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
    )
)
"""Folders that file servers, archives and systems put beside images, with thumbnails and deleted files in them."""

SHOWN_KINDS = 6
LONGEST_ENDING = 12


def subfolders(folder: Path) -> list[Path]:
    """Folders and linked folders in `folder`, sorted, but for hidden ones and a system's; DataError if unreadable."""
    return sorted(Path(entry.path) for entry in _entries(str(folder)) if _is_folder(entry))


def loose_images(folder: Path) -> int:
    """How many images lie in the folder itself."""
    return sum(entry.is_file() and _ending(entry) in endings() for entry in _entries(str(folder)))


def images_below(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The image files at any depth, sorted, and how many files of each other kind were passed over.

    Each folder is visited once, so that links in a circle end; real ones before linked ones, so that a file that can
    be reached both ways has its real name. A link to a folder that `folder` lies in would bring other classes along
    and is not followed. Raises a DataError for a folder that can't be read.
    """
    images: list[Path] = []
    passed_over: Counter[str] = Counter()
    visited = {identity(above) for path in (folder.absolute(), folder.resolve()) for above in path.parents}
    waiting = deque([str(folder)])
    while waiting:
        here = waiting.popleft()
        if (found := identity(here)) in visited:
            continue
        visited.add(found)
        for entry in _entries(here):
            if _is_folder(entry):
                (waiting.append if entry.is_symlink() else waiting.appendleft)(entry.path)
            elif kind := _other_kind(entry):
                passed_over[kind] += 1
            else:
                images.append(Path(entry.path))
    return sorted(images), passed_over


def in_words(passed_over: Counter[str]) -> tuple[str, ...]:
    """A sentence on the files that are no images, the most frequent kinds first; none if there are no such files."""
    if not passed_over:
        return ()
    kinds = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{number:,} {kind}" for kind, number in kinds[:SHOWN_KINDS]]
    others = sum(number for _, number in kinds[SHOWN_KINDS:])
    listed = ", ".join([*named, f"{others:,} of other kinds"] if others else named)
    told = f"{counted(passed_over.total(), 'file')} passed over, being no images that Pillow reads: {listed}"
    return told, *heic_in_words(passed_over)


def heic_in_words(passed_over: Counter[str]) -> tuple[str, ...]:
    """A sentence on photos that were passed over for want of what reads them; none if there are no such files."""
    n = sum(number for kind, number in passed_over.items() if kind in HEIC_ENDINGS)
    return (f"{counted(n, 'HEIC photo')} would be read after {HEIC_REMEDY}",) if n else ()


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, without hidden files and folders and those of a system."""
    with _readable(folder), os.scandir(folder) as entries:
        found = list(entries)
    return (entry for entry in found if not (entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS))


def _readable(folder: Path | str) -> AbstractContextManager[None]:
    wrong = f"folder {str(folder)!r} can't be read"
    return os_errors_as(DataError, wrong, "make it readable, or move it elsewhere")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # The entry's own answer for a link in a circle is an error.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _other_kind(entry: os.DirEntry[str]) -> str:
    """What a file is that is no image, in words; empty if it is one."""
    if not os.path.isfile(entry.path) if entry.is_symlink() else not entry.is_file():
        return "broken or special"
    ending = _ending(entry)
    if ending in endings() or (not ending and begins_as_an_image(entry.path)):
        return ""
    if not ending:
        return "without an ending"
    return ending if len(ending) <= LONGEST_ENDING and ending.isprintable() else "with odd endings"


def _ending(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[1].lower()


def identity(folder: Path | str) -> tuple[int, int]:
    """What a folder is told by, under whatever name; a DataError if it can't be looked at."""
    with _readable(folder):
        found = os.stat(folder)
    return found.st_dev, found.st_ino
