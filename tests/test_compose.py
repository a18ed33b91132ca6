"""What the compose file promises, read from it; tests/tracking/stores/test_postgres.py runs its services."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from compose_file import FILE, ROOT, compose, mounted
from dockerfile_parse import DockerfileParser

from medarts_ops.cli.ui import PAGES_VARIABLE

SEARCHES = ("search", "search-cpu")


def services() -> dict[str, dict[str, Any]]:
    return dict(compose(POSTGRES_PASSWORD="secret")["services"])


def of_our_image() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if service["image"] == "medarts-ops"}


def image() -> DockerfileParser:
    return DockerfileParser(str(ROOT / "Dockerfile"))


def image_volumes() -> set[str]:
    """The folders that the image gives to its user."""
    (value,) = [step["value"] for step in image().structure if step["instruction"] == "VOLUME"]
    return set(json.loads(value))


def in_memory(service: dict[str, Any]) -> dict[str, str]:
    """The folders that a service has in memory, with their options."""
    return {place: options for place, _, options in (each.partition(":") for each in service["tmpfs"])}


def test_compose_can_read_it() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_up_starts_the_servers_and_no_search() -> None:
    assert {name for name, service in services().items() if "profiles" not in service} == {"postgres", "mlflow"}


def test_every_server_has_a_health_check_and_comes_back_after_a_restart() -> None:
    servers = [service for service in services().values() if "profiles" not in service]
    assert [service["restart"] for service in servers] == ["unless-stopped"] * len(servers)
    for service in servers:
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD" and words


def test_every_port_is_published_on_loopback_only() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:5000:5000"]
    assert not any(service.get("network_mode") for service in services().values())


def test_nobody_is_root() -> None:
    assert set(services()) - set(of_our_image()) == {"postgres"}
    (user,) = [step["value"] for step in image().structure if step["instruction"] == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not any("user" in service for service in of_our_image().values())
    assert services()["postgres"]["user"] == "postgres"  # before the image's entrypoint, which would begin as root


def test_no_service_has_a_capability_gains_a_privilege_or_changes_its_image() -> None:
    for service in services().values():
        assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "devices"} & set(service)


def test_what_is_written_outside_of_volumes_is_in_memory_and_anybodys() -> None:
    home = image().envs["HOME"]
    assert Path(image().envs["MPLCONFIGDIR"]).is_relative_to(home)
    for name, service in services().items():
        places = in_memory(service)
        assert {"/tmp", "/var/run/postgresql" if name == "postgres" else home} <= set(places)
        assert all(options == "mode=1777" for place, options in places.items() if place not in image_volumes())


def test_mlflow_and_optuna_have_a_database_each_that_is_made_at_the_first_start() -> None:
    (store,) = [word for word in services()["mlflow"]["command"] if word.startswith("--backend-store-uri=")]
    addresses = [store, *(services()[name]["environment"]["OPTUNA_STORAGE"] for name in SEARCHES)]
    assert [address.rpartition("/")[2] for address in addresses] == ["mlflow", "optuna", "optuna"]
    script = (ROOT / mounted(services()["postgres"], "/docker-entrypoint-initdb.d")).read_text(encoding="utf-8")
    assert re.findall(r"^CREATE DATABASE (\w+);", script, flags=re.MULTILINE) == ["mlflow", "optuna"]


def test_a_password_has_to_be_chosen_and_is_in_no_address() -> None:
    with pytest.raises(LookupError, match=r"POSTGRES_PASSWORD: choose one and write it to \.env"):
        compose()
    for service in services().values():
        holders = {name for name, value in service["environment"].items() if "secret" in value}
        assert holders <= {"PGPASSWORD", "POSTGRES_PASSWORD"} and len(holders) == 1
        assert "secret" not in json.dumps(service.get("command", []))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_waits_until_both_servers_are_healthy(name: str) -> None:
    healthy = {"condition": "service_healthy"}
    assert services()[name]["depends_on"] == {"mlflow": healthy, "postgres": healthy}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_has_shared_memory_for_its_workers_and_time_to_close_its_runs(name: str) -> None:
    service = services()[name]
    assert (service["init"], service["shm_size"], service["stop_grace_period"]) == (True, "2gb", "60s")


def test_a_search_has_one_nvidia_card_and_search_cpu_is_the_same_without() -> None:
    with_card, without = (services()[name] for name in SEARCHES)
    (card,) = with_card.pop("deploy")["resources"]["reservations"]["devices"]
    assert card == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert (with_card.pop("profiles"), without.pop("profiles")) == (["gpu"], ["cpu"])
    assert with_card == without


RAY = ("ray-head", "ray-worker", "ray-worker-cpu")


def test_this_ray_knows_every_option_of_its_services() -> None:
    ray = pytest.importorskip("ray.scripts.scripts")
    known = {option for each in ray.start.params for option in each.opts}
    for name in RAY:
        service = services()[name]
        program, command, *options = [*service["entrypoint"], *service["command"]]
        assert (program, command) == ("ray", "start")
        assert {option.partition("=")[0] for option in options} <= known
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(r"^ray==", lock, flags=re.MULTILINE)


def test_workers_join_the_head_which_takes_no_task_and_their_cards_are_the_only_difference() -> None:
    head, with_cards, without = (services()[name] for name in RAY)
    assert {"--head", "--port=6379", "--num-cpus=0", "--num-gpus=0"} <= set(head["command"])
    assert with_cards["command"] == without["command"] == ["--address=ray-head:6379"]
    (cards,) = with_cards.pop("deploy")["resources"]["reservations"]["devices"]
    assert cards == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert (with_cards.pop("profiles"), without.pop("profiles"), head["profiles"]) == (
        ["ray"],
        ["ray-cpu"],
        ["ray", "ray-cpu"],
    )
    assert with_cards == without and with_cards["depends_on"] == {"ray-head": {"condition": "service_healthy"}}
    search = services()["search"]["environment"]
    assert head["environment"] == search | {"RAY_AUTH_MODE": "disabled"}


def test_every_variable_is_known_to_the_image_to_libpq_or_to_this_mlflow() -> None:
    spec = find_spec("mlflow")
    assert spec is not None and spec.origin is not None
    of_mlflow = Path(spec.origin).with_name("environment_variables.py").read_text(encoding="utf-8")
    set_here = {name for service in of_our_image().values() for name in service["environment"]}
    strange = set_here - set(image().envs) - {"PGPASSWORD", PAGES_VARIABLE, "RAY_AUTH_MODE"}
    assert [name for name in sorted(strange) if f'"{name}"' not in of_mlflow] == []


def test_volumes_lie_where_the_image_has_a_folder_of_its_user_and_none_is_left_without_a_name() -> None:
    named = set(compose(POSTGRES_PASSWORD="secret")["volumes"])
    for service in of_our_image().values():
        mounts = dict(mount.split(":")[::-1] for mount in service["volumes"])
        assert set(mounts.values()) <= named
        assert {*mounts, *in_memory(service)} == image_volumes() | {"/tmp", image().envs["HOME"]}


def test_artifacts_are_served_from_a_volume_of_their_own() -> None:
    command = services()["mlflow"]["command"]
    (destination,) = [word.partition("=")[2] for word in command if word.startswith("--artifacts-destination=")]
    assert mounted(services()["mlflow"], destination) == "artifacts"
    assert "--serve-artifacts" in command


def test_searches_and_the_health_check_ask_where_the_server_listens() -> None:
    server = services()["mlflow"]
    assert {"--host=0.0.0.0", "--port=5000"} <= set(server["command"])
    assert "http://127.0.0.1:5000/health" in server["healthcheck"]["test"][-1]
    assert {services()[name]["environment"]["MLFLOW_TRACKING_URI"] for name in SEARCHES} == {"http://mlflow:5000"}


def test_the_server_is_one_process_without_jobs_or_telemetry() -> None:
    server = services()["mlflow"]
    assert "--workers=1" in server["command"]
    off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    assert off.items() <= server["environment"].items()


def test_this_mlflow_knows_every_option_of_the_server() -> None:
    program, command = services()["mlflow"]["entrypoint"]
    words = [sys.executable, "-m", program, command, "--help"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    options = [word.partition("=")[0] for word in services()["mlflow"]["command"]]
    assert [option for option in options if not re.search(rf"{option}\b(?!-)", said)] == []


def test_the_image_has_the_driver_that_the_servers_address_names() -> None:
    (store,) = [word for word in services()["mlflow"]["command"] if word.startswith("--backend-store-uri=")]
    assert store.startswith("--backend-store-uri=postgresql+psycopg2://")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(r"^psycopg2-binary==", lock, flags=re.MULTILINE)
