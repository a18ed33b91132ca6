"""A machine of a cluster that dies costs epochs of what it trained, not the search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from factories import make_search_config_tiny, make_search_runtime
from ray.cluster_utils import Cluster

from medarts_ops.config_runtime import RayConfig
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.search import run_search

pytestmark = pytest.mark.faults


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two machines of one CPU each beside the driver's, which computes nothing."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


class LosesAMachine:
    """Kills a machine at the third epoch that it is told of, and has another join later."""

    def __init__(self, cluster: Any) -> None:
        self._cluster, self.machines, self.told = cluster, [cluster.add_node(num_cpus=1) for _ in range(2)], 0

    def notify(self, event: SearchEvent) -> None:
        if not isinstance(event, EpochFinished):
            return
        self.told += 1
        if self.told == 3:
            self._cluster.remove_node(self.machines.pop(), allow_graceful=False)
        if self.told == 6:
            self.machines.append(self._cluster.add_node(num_cpus=1))


def test_a_search_ends_with_the_same_bits_when_a_machine_is_lost(cluster: Any, tmp_path: Path) -> None:
    tiny = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": 6}) for stage in tiny.stages)
    alone = tiny.model_copy(update={"stages": stages})
    loses = LosesAMachine(cluster)
    runtime = make_search_runtime(workers=2, executor="ray", ray=RayConfig(address=cluster.address))
    found = run_search(alone.model_copy(update={"runtime": runtime}), tmp_path / "ray", observers=[loses])
    expected = run_search(alone, tmp_path / "local")
    assert loses.told > 6 and not any(stage.failed for stage in found.stages)
    for ours, theirs in zip(found.stages, expected.stages, strict=True):
        assert [one.trained.alpha for one in ours.ranked] == [one.trained.alpha for one in theirs.ranked]
