"""A dataset in words and numbers, as jobs record and show it."""

from __future__ import annotations

from medarts_ops.value import Value


class DatasetSummary(Value):
    """A dataset in words and numbers: what a reader of a run needs to trust or repeat it.

    `resolution` is height × width of the images as loaded; `search_resolution` what the supernet sees (D_low).
    `test_source` says where the test set comes from. `fingerprint` is a hash of images and labels. `remarks` are
    sentences on what was left out of them: files that are no images, or what a small class costs D_sample.
    `class_counts` are training images by class; empty in journals of earlier releases.
    """

    without_effect = frozenset({"remarks", "class_counts"})

    name: str
    class_names: tuple[str, ...]
    n_train: int
    n_test: int
    in_channels: int
    resolution: tuple[int, int]
    search_resolution: tuple[int, int] | None
    test_source: str
    fingerprint: str
    remarks: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
