"""The published genotypes by name, with their parameter counts and where they were found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

from medarts_ops.errors import GenotypeError, unknown_name
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value


class ZooEntry(Value):
    """A published genotype.

    `params_*` are the parameters of the derived network of 20 cells and 36 channels on 10 or 100 classes, without
    auxiliary head (counted with this project's operations, so a repository's own figure may differ);
    `aux_head_c10` those of its auxiliary head. `params_imagenet_C48_L14` and `aux_head_imagenet` are those of DARTS's
    network for ImageNet: 14 cells, 48 channels, three convolutions in the stem, 1,000 classes. `reported` is what its
    authors say of it, if anything.
    """

    name: str
    description: str
    genotype: Genotype
    params_c10_C36_L20: int
    params_c100_C36_L20: int
    aux_head_c10: int
    params_imagenet_C48_L14: int
    aux_head_imagenet: int
    reported: str | None
    sources: tuple[str, ...]


@lru_cache(maxsize=1)
def zoo() -> Mapping[str, ZooEntry]:
    """All published genotypes by name, read once; the mapping can't be changed."""
    rows = json.loads(files("medarts_ops.space").joinpath("zoo.json").read_text(encoding="utf-8"))
    return MappingProxyType({row["name"]: ZooEntry.model_validate(row) for row in rows})


def zoo_entry(name: str) -> ZooEntry:
    """The published genotype of that name, in upper or lower case; a GenotypeError has the near miss."""
    for known, entry in zoo().items():
        if known.casefold() == name.casefold():
            return entry
    raise GenotypeError(unknown_name("genotype", name, zoo()))


def zoo_genotype(name: str) -> Genotype:
    """As `zoo_entry`, the genotype alone."""
    return zoo_entry(name).genotype
