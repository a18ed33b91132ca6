"""A folder of images: one subfolder a class, with or without train/, val/ and test/ above them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import LabelledImages, LoadedDataset, required_data
from medarts_ops.data.folder_tree import heic_in_words, identity, images_below, in_words, loose_images, subfolders
from medarts_ops.data.image_cache import kept_images
from medarts_ops.data.image_files import read_files
from medarts_ops.data.image_formats import EXAMPLES
from medarts_ops.data.unreadable import ReadFiles, left_out_in_words
from medarts_ops.errors import DataError
from medarts_ops.quantities import counted

PARTS = ("train", "val", "test")

ClassFiles = dict[str, list[Path]]
"""The image files of each class, classes and files in sorted order."""


def load_folder(config: DatasetConfig) -> LoadedDataset:
    """Read `data/CLASS/…` or `data/train/CLASS/…` with optional val/ and test/ beside train/.

    A class is a subfolder's name, in sorted order; images may lie deeper inside. val/ joins the training
    images, or serves as test set where test/ is absent. What is passed over is counted in the remarks, but for hidden
    files and folders and those that systems make (`folder_tree.py`); so are, with `skip_unreadable`, images that can't
    be read. With `cache` images come from a file that an earlier loading made (`image_cache.py`).

    Raises:
        ConfigError: `data` is missing, or images above 64×64 without a resolution.
        DataError: no such folder, no class folders, no images, one class, a class without images, a class of
            val/ or test/ that train/ lacks, or images that can't be read (with `skip_unreadable` all of a class's) or
            differ in size.
    """
    root = Path(required_data(config, "the folder that holds the class folders"))
    if not os.path.isdir(root):
        raise DataError(f"dataset.data is {str(root)!r}, which is no folder: give --data DIR with class folders in it")
    folders = part_folders(root)
    passed_over: Counter[str] = Counter()
    parts = {name: class_files(folder, passed_over) for name, folder in folders.items()}
    class_names = tuple(parts["train"])
    check_parts(root, parts, passed_over)
    check_each_is_in_one_class(parts)
    training, testing, source = _roles(parts)
    labelled = [(path, label) for part in training for path, label in _labelled(part, class_names)]
    n_train = len(labelled)
    labelled += [pair for part in testing for pair in _labelled(part, class_names)]
    paths, all_labels = [path for path, _ in labelled], np.array([label for _, label in labelled], np.int64)
    read = kept_images(config, root, paths, partial(_read, config, paths))
    is_read = np.ones(len(paths), bool)
    is_read[list(read.unreadable)] = False
    for what, role in (("training", slice(n_train)), ("test", slice(n_train, None))):
        _check_classes_are_left(what, all_labels[role], is_read[role], class_names)
    names = [path.relative_to(root).as_posix() for path in paths]
    files = tuple(name for name, there in zip(names, is_read, strict=True) if there)
    found = partial(_part, LabelledImages(read.images, all_labels[is_read], files))
    n_train = int(is_read[:n_train].sum())
    test = found(slice(n_train, None)) if testing else None
    left_out = left_out_in_words(names, read.unreadable)
    remarks = (*in_words(passed_over), *beside_class_folders(root, folders), *left_out)
    return LoadedDataset(class_names, found(slice(n_train)), test, source, remarks)


def _part(images: LabelledImages, part: slice) -> LabelledImages:
    """Not copied, unlike what `take` gives."""
    return LabelledImages(images.images[part], images.labels[part], images.files[part])


def _read(config: DatasetConfig, paths: Sequence[Path]) -> ReadFiles:
    return read_files(
        paths,
        config.resolution,
        config.max_pixels,
        if_larger=f"scale it down, or raise dataset.max_pixels, which is {config.max_pixels:,}",
        fit=config.fit,
        skip_unreadable=config.skip_unreadable,
        if_unreadable="replace or remove them, or leave them out by dataset.skip_unreadable=true",
    )


def _check_classes_are_left(
    what: str, labels: NDArray[np.int64], is_read: NDArray[np.bool_], class_names: Sequence[str]
) -> None:
    """Refuse to go on without a class: what can't be read may be left out, but not all that it has."""
    for label in np.setdiff1d(labels, labels[is_read]):
        raise DataError(
            f"class {class_names[label]!r} has no {what} image left: none of its "
            f"{np.count_nonzero(labels == label):,} can be read; replace them, or remove the class's folder"
        )


def class_files(folder: Path, passed_over: Counter[str]) -> ClassFiles:
    """The images of each class folder; adds to `passed_over` what else lies there."""
    found: ClassFiles = {}
    for path in subfolders(folder):
        found[path.name], others = images_below(path)
        passed_over.update(others)
    return found


def beside_class_folders(root: Path, folders: Mapping[str, Path]) -> Iterator[str]:
    """Sentences on images and folders that are in no class."""
    loose = sum(map(loose_images, {root, *folders.values()}))
    if loose:
        yield f"{counted(loose, 'image')} passed over, outside of the class folders"
    others = [path.name for path in subfolders(root) if path not in folders.values()]
    if root not in folders.values() and others:
        yield f"folders passed over beside train/: {', '.join(map(repr, others))}"


def part_folders(root: Path) -> dict[str, Path]:
    """The folders that hold class folders: train/ and its companions, or `root` itself.

    A class may be called "train" (beside "bus"): only a train/ with folders inside is a part.
    """
    names = [path.name for path in subfolders(root)]
    if "train" in names and subfolders(root / "train"):
        for name in {"valid", "validation"}.intersection(names):
            raise DataError(f"{str(root)!r} holds {name}/ beside train/: allowed are val/ and test/; rename it to val/")
        return {part: root / part for part in PARTS if part in names}
    if names and set(names) <= set(PARTS):
        raise DataError(
            f"{str(root)!r} holds {', '.join(names)}, but no train/ with class folders in it: put the images into "
            "train/CLASS/ (and val/CLASS/, test/CLASS/), or into CLASS/ directly"
        )
    return {"train": root}


def check_parts(root: Path, parts: Mapping[str, ClassFiles], passed_over: Counter[str]) -> None:
    """Raise the first of `problems_of_parts`."""
    for problem in problems_of_parts(root, parts, passed_over):
        raise DataError(problem)


def check_each_is_in_one_class(parts: Mapping[str, ClassFiles]) -> None:
    """Raise the first of `problems_of_links`."""
    for problem in problems_of_links(parts):
        raise DataError(problem)


def problems_of_parts(root: Path, parts: Mapping[str, ClassFiles], passed_over: Counter[str]) -> Iterator[str]:
    """Of a part without images or with a class that train/ lacks, and of a class without images."""
    heic = "".join(f"; {words}" for words in heic_in_words(passed_over))
    for part, classes in parts.items():
        where = repr(str(root if len(parts) == 1 else root / part))
        if not any(classes.values()):
            yield (
                f"{where} holds no images in class folders: allowed are {EXAMPLES} and others that Pillow "
                f"reads, in one folder a class{heic}"
            )
        for foreign in sorted(set(classes) - set(parts["train"])):
            yield (
                f"{where} has a class {foreign!r} that train/ lacks: allowed are {', '.join(parts['train'])}; "
                "rename or remove it"
            )
    if len(parts["train"]) == 1:
        yield f"{str(root)!r} holds one class, {list(parts['train'])[0]!r}: allowed are two or more folders"
    for name, files in parts["train"].items():
        if not files and any(parts["train"].values()):
            yield f"class {name!r} in {str(root)!r} has no images: add some ({EXAMPLES}, …) or remove the folder{heic}"


def problems_of_links(parts: Mapping[str, ClassFiles]) -> Iterator[str]:
    """Of folders that a link brings into a second class or part: their images would be of both, or tested on."""
    places: dict[tuple[int, int], tuple[str, Path]] = {}
    for part, classes in parts.items():
        for name, files in classes.items():
            for folder in sorted({path.parent for path in files}):
                place, first = places.setdefault(identity(folder), (f"{part}/{name}", folder))
                if place != f"{part}/{name}":
                    yield (
                        f"{str(folder)!r} and {str(first)!r} are one folder, in two places that are kept apart: remove "
                        "one of the links"
                    )


def part_to_test_on(parts: Collection[str]) -> str | None:
    """The part that serves as test set, if there is one."""
    return next((name for name in ("test", "val") if name in parts), None)


def _roles(parts: Mapping[str, ClassFiles]) -> tuple[list[ClassFiles], list[ClassFiles], str]:
    """(training parts, test parts, where the test set comes from)."""
    test = part_to_test_on(parts)
    sources = {None: "", "test": "test/", "val": "val/, there being no test/"}
    joined = ", with val/ joined to train/" if test == "test" and "val" in parts else ""
    training = [files for name, files in parts.items() if name != test]
    return training, [parts[test]] if test else [], sources[test] + joined


def _labelled(part: ClassFiles, class_names: Sequence[str]) -> list[tuple[Path, int]]:
    return [(path, class_names.index(name)) for name, files in part.items() for path in files]
