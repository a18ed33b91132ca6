"""Folders of images: layouts, pixel formats and each kind of bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from medarts_ops.config import DatasetConfig
from medarts_ops.data import image_files, image_formats
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError, DataError


def _pixels(seed: int, height: int = 9, width: int = 11, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def _write(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def _classes(root: Path, *names: str, n: int = 2, **size: int) -> Path:
    for number, name in enumerate(names):
        for index in range(n):
            _write(root / name / f"{index}.png", _pixels(10 * number + index, **size))
    return root


def _load(root: Path, resolution: int | None = None, **settings: Any) -> ImageDataset:
    return load_dataset(DatasetConfig(name="folder", data=str(root), resolution=resolution, **settings))


def test_class_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    dataset = _load(_classes(tmp_path, "dog", "cat", "Emu", n=5))
    assert dataset.class_names == ("Emu", "cat", "dog")
    assert np.bincount(dataset.train.labels).tolist() == [4, 4, 4]
    assert "held out" in dataset.test_source


def test_png_pixels_arrive_unchanged_with_their_labels(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    _classes(tmp_path / "test", "cat", "dog", n=1)
    dataset = _load(tmp_path)
    expected = [_pixels(0), _pixels(1), _pixels(10), _pixels(11)]
    assert np.array_equal(dataset.train.images, np.stack(expected))
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(dataset.test.images, np.stack([_pixels(0), _pixels(10)]))


@pytest.mark.parametrize(
    ("parts", "n_train", "n_test", "source"),
    [
        (("train", "test"), 4, 4, "test/"),
        (("train", "val"), 4, 4, "val/, there being no test/"),
        (("train", "val", "test"), 8, 4, "test/, with val/ joined to train/"),
    ],
)
def test_val_joins_train_or_serves_as_test(
    tmp_path: Path, parts: tuple[str, ...], n_train: int, n_test: int, source: str
) -> None:
    for part in parts:
        _classes(tmp_path / part, "cat", "dog")
    dataset = _load(tmp_path)
    assert (len(dataset.train), len(dataset.test), dataset.summary(None).test_source) == (n_train, n_test, source)


def test_train_alone_has_its_test_set_held_out(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog", n=5)
    assert (len(_load(tmp_path).train), len(_load(tmp_path).test)) == (8, 2)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert _load(_classes(tmp_path, "bus", "train")).class_names == ("bus", "train")


def test_train_and_test_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train/ with class folders"):
        _load(_classes(tmp_path, "train", "test"))


def test_a_validation_folder_by_another_name_is_not_passed_over(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    _classes(tmp_path / "valid", "cat", "dog")
    with pytest.raises(DataError, match="holds valid/ beside train/: allowed are val/ and test/"):
        _load(tmp_path)


def test_a_class_that_only_the_test_set_has_is_named(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    _classes(tmp_path / "test", "cat", "emu")
    with pytest.raises(DataError, match="test' has a class 'emu' that train/ lacks"):
        _load(tmp_path)


def test_hidden_files_other_files_and_case_do_not_matter(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    for name in ("cat/.0.png", "dog/notes.txt", ".cache/0.png", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    _write(tmp_path / "cat" / "deeper" / "3.PNG", _pixels(3))
    dataset = _load(tmp_path)
    assert (len(dataset.train) + len(dataset.test), dataset.n_classes) == (5, 2)


@pytest.mark.parametrize(
    "suffix",
    [".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".jpg", ".jfif", ".JPE", ".avif", ".jp2", ".tga", ".qoi"],
)
def test_every_format_is_decoded_as_pil_does(tmp_path: Path, suffix: str) -> None:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            _write(tmp_path / part / name / f"0{suffix}", _pixels(1))
    with Image.open(tmp_path / "test" / "cat" / f"0{suffix}") as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(_load(tmp_path).test.images[0], expected)


def test_a_file_without_an_ending_is_an_image_by_its_content(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "IMG_0001")
    (tmp_path / "cat" / "LICENSE").write_text("P5, no image\n")
    (tmp_path / "cat" / "Makefile").write_bytes(b"")
    dataset = _load(tmp_path)
    assert len(dataset.train) + len(dataset.test) == 4
    assert dataset.remarks == ("2 files passed over, being no images that Pillow reads: 2 without an ending",)


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pillow-heif is not installed."""
    monkeypatch.setattr(image_formats, "reads_heic", lambda: False)


@pytest.mark.usefixtures("without_heic")
def test_files_that_are_passed_over_are_counted_by_kind(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    _classes(tmp_path / "test", "cat", "dog", n=1)
    for name in (
        "train/cat/1.heic",
        "train/dog/2.HEIC",
        "test/dog/deeper/x.txt",
        "test/dog/a.\x1b[1m",
        "train/cat/.DS_Store",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0")
    (tmp_path / "train" / "cat" / "gone.png").symlink_to("nowhere")
    _write(tmp_path / "loose.png", _pixels(0))
    (tmp_path / "unsorted").mkdir()
    kinds = "2 .heic, 1 .txt, 1 broken or special, 1 with odd endings"
    assert _load(tmp_path).summary(None).remarks == (
        f"5 files passed over, being no images that Pillow reads: {kinds}",
        "2 HEIC photos would be read after pip install 'medarts-ops[heic]'",
        "1 image passed over, outside of the class folders",
        "folders passed over beside train/: 'unsorted'",
    )


def test_folders_of_systems_and_hidden_ones_are_no_classes_and_hold_no_images(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", "@eaDir", "__MACOSX", ".git", ".ipynb_checkpoints")
    _classes(tmp_path / "cat", "@eaDir", "__MACOSX", ".thumbnails")
    dataset = _load(tmp_path)
    assert (dataset.class_names, len(dataset.train) + len(dataset.test)) == (("cat", "dog"), 4)
    assert dataset.remarks == ()


def test_linked_folders_are_followed_and_every_file_is_taken_once(tmp_path: Path) -> None:
    root = _classes(tmp_path / "images", "cat", "dog")
    _classes(tmp_path / "elsewhere", "more", n=3)
    _write(tmp_path / "elsewhere" / "birds" / "0.png", _pixels(0))
    _write(tmp_path / "elsewhere" / "birds" / "1.png", _pixels(1))
    (root / "emu").symlink_to(tmp_path / "elsewhere" / "birds")
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    for name, target in (
        ("a", root / "cat"),
        ("b", root),
        ("c", tmp_path / "elsewhere" / "more"),
        ("d", "d"),
        ("e", "/"),
    ):
        (root / "cat" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "birds" / "up").symlink_to(root)
    dataset = _load(root)
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    assert (dataset.class_names, np.bincount(labels).tolist()) == (("cat", "dog", "emu"), [5, 2, 2])


def _load_one(root: Path, pixels: np.ndarray, mode: str | None = None, suffix: str = ".png", **options: Any) -> Any:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            _write(root / part / name / f"0{suffix}", pixels, mode, **options)
    return _load(root).test.images[0]


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grayscale_images_have_one_channel(tmp_path: Path, mode: str) -> None:
    gray = _pixels(0, channels=1)
    expected = np.where(gray > 127, 255, 0) if mode == "1" else gray
    loaded = _load_one(tmp_path, expected.astype(np.uint8), mode)
    assert np.array_equal(loaded[:, :, 0], expected)


def test_one_colour_image_makes_all_rgb(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", channels=1)
    _write(tmp_path / "cat" / "9.png", _pixels(9))
    assert _load(tmp_path).in_channels == 3


def test_an_alpha_channel_is_dropped(tmp_path: Path) -> None:
    rgba = _pixels(0, channels=4)
    assert np.array_equal(_load_one(tmp_path, rgba), rgba[..., :3])


def test_a_transparent_palette_becomes_rgb_without_a_warning(tmp_path: Path) -> None:
    pixels = np.kron([[0, 255], [51, 102]], np.ones((8, 8))).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)
    assert np.array_equal(_load_one(tmp_path, pixels, "P", transparency=bytes([0, 128, 255])), pixels)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    loaded = _load_one(tmp_path, np.full((9, 9, 3), (255, 0, 0), np.uint8), "CMYK", ".jpg", quality=95)
    assert np.abs(loaded.astype(int) - (255, 0, 0)).max() < 6


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bit_grayscale_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    levels = np.linspace(0, 65535, 99).reshape(9, 11).astype(np.uint16)
    loaded = _load_one(tmp_path, levels, suffix=suffix)
    assert np.array_equal(loaded[:, :, 0], np.rint(levels / 257))


def test_a_floating_point_image_is_refused_by_name(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    _write(tmp_path / "cat" / "float.tif", np.zeros((9, 11), np.float32))
    with pytest.raises(DataError, match=r"1 of 5 images .*float.tif' \(pixel format 'F' has no 8-bit meaning"):
        _load(tmp_path)


def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270° to see it upright
    lying = _pixels(0, height=9, width=12)
    loaded = _load_one(tmp_path, lying, exif=exif)
    assert np.array_equal(loaded, np.rot90(lying, -1))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    "block",
    [b"no EXIF", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff"],
)
def test_an_orientation_that_can_not_be_read_is_none(tmp_path: Path, suffix: str, block: bytes) -> None:
    pixels = np.full((9, 12, 3), 200, np.uint8)
    assert np.abs(_load_one(tmp_path, pixels, suffix=suffix, exif=block).astype(int) - pixels).max() < 3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(_load_one(tmp_path, _pixels(0), exif=exif), _pixels(0))


def test_corrupt_images_are_named_and_all_of_them_counted(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", n=4)
    whole = (tmp_path / "cat" / "1.png").read_bytes()
    (tmp_path / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])  # the header is fine
    (tmp_path / "dog" / "2.png").write_bytes(b"")
    refused = (
        r"2 of 8 images can't be read, the first is '.*cat.1.png' \(.*, or leave them out by dataset.skip_unreadable="
    )
    with pytest.raises(DataError, match=refused):
        _load(tmp_path)


def test_a_torn_image_with_a_whole_header_is_found_by_decoding(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", n=4)
    _write(tmp_path / "dog" / "5.jpg", _pixels(5, 9, 11))
    whole = (tmp_path / "dog" / "5.jpg").read_bytes()
    (tmp_path / "dog" / "5.jpg").write_bytes(whole[:-60])
    with pytest.raises(DataError, match=r"1 of 9 images .*5.jpg"):
        _load(tmp_path)


@pytest.mark.parametrize("side", [20, 30])  # Pillow warns of one, and refuses what is twice too large
def test_a_decompression_bomb_is_named_with_the_setting_that_lets_it_in(tmp_path: Path, side: int) -> None:
    _classes(tmp_path, "cat", "dog")
    _write(tmp_path / "cat" / "vast.png", _pixels(1, height=side, width=side))
    before = Image.MAX_IMAGE_PIXELS
    refused = rf"1 of 5 images .*vast.png.*{side**2} pixels.*decompression bomb.*raise dataset.max_pixels, which is 300"
    with pytest.raises(DataError, match=refused):
        _load(tmp_path, resolution=16, max_pixels=300)
    assert len(_load(tmp_path, resolution=16, max_pixels=side * side).train) == 3
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_photo_beyond_pillows_own_limit_is_read_without_holding_all_of_a_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(image_files, "LARGE", 10_000)
    levels = np.linspace(0, 255, 512).astype(np.uint8)
    photo = np.stack([np.tile(levels, (256, 1))] * 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = 6
    _classes(tmp_path / "train", "cat", "dog")
    _write(tmp_path / "test" / "cat" / f"0{suffix}", photo, exif=exif)
    drafts: list[object] = []
    draft = JpegImageFile.draft
    monkeypatch.setattr(JpegImageFile, "draft", lambda *words: drafts.append(draft(*words)))
    loaded = _load(tmp_path, resolution=16).test.images[0].astype(int)
    expected = np.asarray(Image.fromarray(np.rot90(photo, -1)).resize((16, 16), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(loaded - expected).max() < 6
    assert drafts == ([("RGB", (0, 0, 64.0, 32.0))] if suffix == ".jpg" else [])


def test_mixed_sizes_ask_for_a_resolution_with_two_examples(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    _write(tmp_path / "dog" / "9.png", _pixels(9, height=20, width=30))
    with pytest.raises(DataError, match="cat.0.png' is 9×11, .*dog.9.png' is 20×30 .*--resolution N"):
        _load(tmp_path)


def test_a_resolution_makes_mixed_sizes_one_as_pil_does(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    _write(tmp_path / "test" / "cat" / "0.png", _pixels(9, height=20, width=30))
    expected = Image.fromarray(_pixels(9, height=20, width=30)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(_load(tmp_path, resolution=16).test.images[0], np.asarray(expected))


def test_large_images_ask_for_a_resolution_and_tell_their_memory(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", height=200, width=300)
    with pytest.raises(ConfigError, match="200×300: .*--resolution N.* 4 images take 703 KiB"):
        _load(tmp_path)
    assert _load(tmp_path, resolution=96).resolution == (96, 96)


def test_small_images_are_refused_or_enlarged(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", height=7, width=9)
    with pytest.raises(DataError, match="7×9 images: allowed are 8×8 or more.*--resolution N"):
        _load(tmp_path)
    assert _load(tmp_path, resolution=8).resolution == (8, 8)


def test_a_folder_without_images_says_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="no images in class folders: allowed are .*.png"):
        _load(tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one class, 'cat': allowed are two"):
        _load(_classes(tmp_path, "cat"))


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    (tmp_path / "emu").mkdir()
    with pytest.raises(DataError, match="class 'emu' .* has no images"):
        _load(tmp_path)


def test_an_empty_test_folder_is_named(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog")
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="test' holds no images in class folders"):
        _load(tmp_path)


def test_a_class_with_one_image_leaves_nothing_to_hold_out(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog")
    _write(tmp_path / "emu" / "0.png", _pixels(0))
    with pytest.raises(DataError, match="class 'emu' has 1 image"):
        _load(tmp_path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere', which is no folder"):
        _load(tmp_path / "nowhere")


@pytest.mark.parametrize("link", ["train/dog/more", "train/emu", "test/cat/more"])
def test_a_folder_in_two_classes_or_parts_is_refused(tmp_path: Path, link: str) -> None:
    for place in ("train/cat", "train/dog", "test/cat", "test/dog"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "0.png")
    (tmp_path / link).symlink_to(tmp_path / "train" / "cat")
    with pytest.raises(DataError, match="are one folder, in two places that are kept apart: remove one of the links"):
        load_dataset(DatasetConfig(name="folder", data=str(tmp_path)))


@pytest.mark.usefixtures("without_heic")
def test_a_folder_of_heic_alone_says_what_to_install(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.heic").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"no images in class folders.*; 2 HEIC photos would be read after pip install"):
        _load(tmp_path)
    with pytest.raises(DataError, match=r"HEIC is read by pillow-heif.*: pip install 'medarts-ops\[heic\]'"):
        image_files.read_files(
            [tmp_path / "cat" / "0.heic"],
            16,
            10_000,
            if_larger="",
            fit="squash",
            skip_unreadable=False,
            if_unreadable="",
        )


def test_heic_photos_are_images_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    _classes(tmp_path / "train", "cat", "dog")
    photo = np.full((32, 48, 3), (200, 100, 50), np.uint8)
    (tmp_path / "test" / "cat").mkdir(parents=True)
    pillow_heif.from_pillow(Image.fromarray(photo)).save(tmp_path / "test" / "cat" / "0.HEIC", quality=95)
    _write(tmp_path / "test" / "cat" / "1.jpg", photo, quality=95)
    (tmp_path / "test" / "cat" / "1.jpg").rename(tmp_path / "test" / "cat" / "1.heic")  # as some cameras name them
    dataset = _load(tmp_path, resolution=16)
    assert (len(dataset.test), dataset.remarks) == (2, ())
    assert np.abs(dataset.test.images.astype(int) - (200, 100, 50)).max() < 6


def _tear(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def test_unreadable_images_are_left_out_on_request_as_if_they_were_not_there(tmp_path: Path) -> None:
    _classes(tmp_path / "train", "cat", "dog", n=5, channels=1)
    _classes(tmp_path / "test", "cat", "dog", n=3, channels=1)
    _write(tmp_path / "train" / "cat" / "3.png", _pixels(3))  # the only one in colour
    _tear(tmp_path / "train" / "cat" / "3.png", 0.5)  # its header is whole
    _tear(tmp_path / "test" / "dog" / "0.png", 0)
    dataset = _load(tmp_path, skip_unreadable=True)
    assert dataset.train.labels.tolist() == [0] * 4 + [1] * 5 and dataset.test.labels.tolist() == [0] * 3 + [1] * 2
    (remark,) = dataset.remarks
    assert remark.startswith("2 images of 16 left out, which can't be read: 'train/cat/3.png' (")
    assert remark.endswith("'test/dog/0.png' (cannot identify image file)")
    (tmp_path / "train" / "cat" / "3.png").unlink()
    (tmp_path / "test" / "dog" / "0.png").unlink()
    assert dataset.fingerprint == _load(tmp_path).fingerprint


def test_of_many_that_are_left_out_the_first_are_named_and_a_bomb_says_why(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", n=9)
    for number in range(5):
        _write(tmp_path / "dog" / f"{number}.png", _pixels(1, height=40, width=40))
    (remark,) = _load(tmp_path, resolution=9, max_pixels=300, skip_unreadable=True).remarks
    assert remark.startswith("5 images of 18 left out, which can't be read: 'dog/0.png' (Image size (1600 pixels): as ")
    assert remark.count(".png") == 3 and remark.endswith(" and 2 more")


@pytest.mark.parametrize(("part", "what"), [("train", "training"), ("test", "test")])
def test_a_class_of_which_nothing_can_be_read_is_refused_even_then(tmp_path: Path, part: str, what: str) -> None:
    for name in ("train", "test"):
        _classes(tmp_path / name, "cat", "dog")
    for number in range(2):
        _tear(tmp_path / part / "dog" / f"{number}.png", 0.3 * number)
    with pytest.raises(DataError, match=f"class 'dog' has no {what} image left: none of its 2 can be read"):
        _load(tmp_path, skip_unreadable=True)


def test_an_image_for_which_the_memory_is_short_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _classes(tmp_path, "cat", "dog", n=4)
    header = image_files.read_header

    def short_of_memory(path: Path, **words: Any) -> image_files.Header:
        if path.name == "1.png":
            raise MemoryError
        return header(path, **words)

    monkeypatch.setattr(image_files, "read_header", short_of_memory)
    with pytest.raises(DataError, match=r"2 of 8 images can't be read, the first is '.*1.png' \(MemoryError\)"):
        _load(tmp_path, skip_unreadable=True)


def test_each_image_knows_its_file_wherever_the_test_set_comes_from(tmp_path: Path) -> None:
    _classes(tmp_path, "cat", "dog", n=4)
    _tear(tmp_path / "cat" / "1.png", 0.5)
    held_out = _load(tmp_path, skip_unreadable=True)
    both = (*held_out.train.files, *held_out.test.files)
    assert sorted(both) == ["cat/0.png", "cat/2.png", "cat/3.png", *(f"dog/{number}.png" for number in range(4))]
    for part in (held_out.train, held_out.test):
        for image, label, file in zip(part.images, part.labels, part.files, strict=True):
            assert file.startswith(held_out.class_names[label])
            assert np.array_equal(image, np.asarray(Image.open(tmp_path / file)).reshape(image.shape))
    for part in ("train", "test"):
        _classes(tmp_path / "parts" / part, "cat", "dog")
    parts = _load(tmp_path / "parts", resolution=8)
    assert parts.test.files == ("test/cat/0.png", "test/cat/1.png", "test/dog/0.png", "test/dog/1.png")
