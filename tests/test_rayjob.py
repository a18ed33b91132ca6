"""KubeRay's manifest agrees with image, lock and commands; its pods were held to Kubernetes' schema by hand."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml
from compose_file import ROOT
from dockerfile_parse import DockerfileParser
from refusals import invoke

MANIFEST = ROOT / "docker" / "rayjob.yaml"
FIELDS = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
"""Those of KubeRay's RayJobSpec (ray-operator/apis/ray/v1/rayjob_types.go) that it has use for."""


def spec() -> dict[str, Any]:
    found = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    return dict(found["spec"])


def containers() -> dict[str, dict[str, Any]]:
    cluster = spec()["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return {each["name"]: each for group in groups for each in group["template"]["spec"]["containers"]}


def test_its_fields_are_kuberays() -> None:
    cluster = spec()["rayClusterSpec"]
    assert set(spec()) == FIELDS and set(cluster) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    group = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
    assert all(set(each) == group for each in cluster["workerGroupSpecs"])
    assert all(isinstance(value, str) for value in cluster["headGroupSpec"]["rayStartParams"].values())


def test_the_version_of_ray_is_the_images() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"^ray==(.+)$", lock, flags=re.MULTILINE) == [spec()["rayClusterSpec"]["rayVersion"]]
    assert "aiohttp-cors==" in lock  # of ray[default]: without its dashboard nothing can be submitted


def test_its_commands_are_medartss() -> None:
    resume, search = (shlex.split(each) for each in spec()["entrypoint"].split("||"))
    assert resume == ["medarts", "resume", search[search.index("--name") + 1]]
    said = invoke("search", "--help").output
    assert all(option in said for option in search if option.startswith("--"))


def test_nobody_is_root_and_folders_are_the_images() -> None:
    image = DockerfileParser(str(ROOT / "Dockerfile"))
    (user,) = [step["value"] for step in image.structure if step["instruction"] == "USER"]
    cluster = spec()["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        account = group["template"]["spec"]["securityContext"]
        assert (account["runAsNonRoot"], f"{account['runAsUser']}:{account['fsGroup']}") == (True, user)
    places = {each["mountPath"] for each in containers()["ray-head"]["volumeMounts"]}
    assert {"/runs", "/data"} <= places


def test_probes_ask_by_what_the_image_has() -> None:
    for container in containers().values():
        for probe in ("readinessProbe", "livenessProbe"):
            program, flag, code = container[probe]["exec"]["command"]
            assert (program, flag) == ("python", "-c")
            compile(code, probe, "exec")


def test_the_head_takes_no_task_and_each_worker_has_a_card() -> None:
    assert spec()["rayClusterSpec"]["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert containers()["ray-worker"]["resources"]["limits"]["nvidia.com/gpu"] == 1
