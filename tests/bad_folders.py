"""Folders of images that a search refuses, each with a part of what it says of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def folder_without_images(root: Path) -> str:
    (root / "cats").mkdir()
    return "holds no images in class folders"


def folder_of_one_class(root: Path) -> str:
    save_images(root / "cats", 2)
    return "holds one class, 'cats'"


def folder_with_a_corrupt_image(root: Path) -> str:
    save_images(root / "cats", 3)
    save_images(root / "dogs", 3)
    (root / "dogs" / "1.png").write_bytes((root / "dogs" / "0.png").read_bytes()[:45])
    return f"{str(root / 'dogs' / '1.png')!r}"


def folder_of_mixed_sizes(root: Path) -> str:
    save_images(root / "cats", 3)
    save_images(root / "dogs", 3, side=20)
    return "give --resolution N"


def folder_with_a_rare_class(root: Path) -> str:
    save_images(root / "cats", 9)
    save_images(root / "dogs", 3)  # one of them is the test set
    return "class 'dogs' has 2 training images; the largest that works is 4"


def folder_of_small_images(root: Path) -> str:
    save_images(root / "cats", 9, side=8)
    save_images(root / "dogs", 9, side=8)
    return "the network would see 4×4 images: allowed are 8×8 or more"


def folder_of_a_class_that_is_no_utf_8(root: Path) -> str:
    save_images(root / "cats", 9)
    save_images(root / "d\udce9gs", 9)  # how Python has the byte E9, which is é in Latin-1
    return "the class name 'd\\udce9gs' is not in UTF-8"


def no_folder(root: Path) -> str:
    root.rmdir()
    return "which is no folder"


def save_images(folder: Path, n: int, side: int = 16) -> None:
    folder.mkdir()
    for number in range(n):
        Image.new("L", (side, side), number).save(folder / f"{number}.png")
