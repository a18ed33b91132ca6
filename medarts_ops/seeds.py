"""Where every random number comes from: (search seed, stage, individual, stream), never a global state."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a random stream is used for; the numbers are part of what a seed means, so they never change."""

    ALPHA = 0
    WEIGHTS = 1
    WEIGHT_BATCHES = 2
    ALPHA_BATCHES = 3
    AUGMENTATION = 4
    DROP_PATH = 5
    SAMPLE = 6
    HALVES = 7
    PROPOSALS = 8
    TEST_SPLIT = 9
    STRATEGY = 10
    NEXT_STAGE = 11
    NETWORKS = 12
    DERIVED_SPLIT = 13
    READING = 14
    CHILDREN = 15
    VALIDATION = 16


def seed_sequence(seed: int, stage: int, individual: int, stream: Stream) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(stage, individual, int(stream)))


def random_generator(seed: int, stage: int, individual: int, stream: Stream) -> np.random.Generator:
    return np.random.default_rng(seed_sequence(seed, stage, individual, stream))


def integer_seed(seed: int, stage: int, individual: int, stream: Stream) -> int:
    """A non-negative 63-bit seed for libraries that take one number (torch, Optuna takes its low 32 bits)."""
    return int(seed_sequence(seed, stage, individual, stream).generate_state(1, np.uint64)[0] >> 1)
