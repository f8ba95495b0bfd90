"""Compose, Dockerfile and Kubernetes agree with the code."""

import importlib
import json
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from console.settings import SessionSettings
from shell.settings import PathSettings, Settings
from shouwang.runtime import machine
from shouwang.runtime.broker import docker_variable
from shouwang.runtime.kafka import security
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.kafka_users import KafkaUsers
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())
PROCESSES = yaml.safe_load((ROOT / "deploy/local/processes.yaml").read_text())
BASE = ROOT / "deploy/k8s/base"


STORED = [name for name in SERVICES if name != "console"]


@cache
def rendered() -> list[dict[str, Any]]:
    """The rendered base of kustomize."""
    kubectl = shutil.which("kubectl")
    assert kubectl, "kubectl is missing: apt-get install kubernetes-client"
    run = subprocess.run([kubectl, "kustomize", str(BASE)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [document for document in yaml.safe_load_all(run.stdout) if document]


def rendered_object(kind: str, service: str) -> dict[str, Any]:
    found = [d for d in rendered() if d["kind"] == kind and d["metadata"]["name"] == service]
    assert len(found) == 1, f"deploy/k8s/base/{service}.yaml: {len(found)} objects {kind} with the name {service}"
    return found[0]


def composed(service: str) -> dict[str, Any]:
    assert service in COMPOSE["services"], f"docker-compose.yml: no service {service}"
    entry: dict[str, Any] = COMPOSE["services"][service]
    return entry


def known_variables() -> set[str]:
    names = {f"SHOUWANG_{name.upper()}" for name in (*Settings.model_fields, *PathSettings.model_fields)}
    names |= {f"SHOUWANG_CONSOLE_{name.upper()}" for name in SessionSettings.model_fields}
    names |= {f"SHOUWANG_DATABASE_URL_{name.upper()}" for name in STORED}
    names |= {f"SHOUWANG_URL_{name.upper()}" for name in STORED}
    return names


def test_no_deployment_is_a_demonstration_or_moves_the_clock() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / "Dockerfile", *(ROOT / "deploy/k8s").rglob("*.yaml")]
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "SHOUWANG_DEMO" not in text, file
        assert "SHOUWANG_TIME_TRAVEL" not in text, file


def test_compose_fits_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec.json").read_text())
    plain = {key: value for key, value in COMPOSE.items() if key != "name"}  # newer than this copy of the schema
    faults = [f"{list(e.instance_path)}: {e.message}" for e in jsonschema_rs.validator_for(schema).iter_errors(plain)]
    assert not faults


@pytest.mark.parametrize("service", SERVICES)
def test_compose_builds_and_publishes_every_service_on_its_port(service: str) -> None:
    entry = composed(service)
    place = f"docker-compose.yml, {service}"
    assert entry["build"]["args"] == {"SERVICE": service}, place
    ports = {p["name"]: p["port"] for p in PROCESSES["processes"]}
    assert entry["ports"] == [f"127.0.0.1:{ports.get(service)}:8000"], f"{place}: not the port of processes.yaml"
    for needed in ("kafka", "postgres", "topics"):
        assert needed in entry["depends_on"], place


def test_every_variable_in_compose_and_kubernetes_is_read_by_the_code() -> None:
    used: set[str] = set()
    for entry in COMPOSE["services"].values():
        used |= {name for name in entry.get("environment", {}) if name.startswith("SHOUWANG_")}
    for document in rendered():
        for container in _containers(document):
            used |= {v["name"] for v in container.get("env", []) if v["name"].startswith("SHOUWANG_")}
    assert used <= known_variables()


@pytest.mark.parametrize("service", STORED)
def test_every_service_with_a_database_gets_the_address_of_its_own(service: str) -> None:
    variable, prefix = f"SHOUWANG_DATABASE_URL_{service.upper()}", "SHOUWANG_DATABASE_URL_"
    urls = {name: url for name, url in composed(service)["environment"].items() if name.startswith(prefix)}
    assert list(urls) == [variable], f"docker-compose.yml, {service}"
    assert urls[variable].rpartition("/")[2] == service, f"docker-compose.yml, {service}: the database of the URL"
    (container,) = _containers(rendered_object("Deployment", service))
    secrets = {v["name"]: v.get("valueFrom") for v in container["env"] if v["name"].startswith(prefix)}
    own = {variable: {"secretKeyRef": {"name": "shouwang-databases", "key": service}}}
    assert secrets == own, f"deploy/k8s/base/{service}.yaml: the URL of the database"


def test_every_address_of_a_service_names_that_service() -> None:
    variables = [
        variable for entry in COMPOSE["services"].values() for variable in entry.get("environment", {}).items()
    ]
    for document in rendered():
        for container in _containers(document):
            variables += [(variable["name"], variable.get("value")) for variable in container.get("env", [])]
    addresses = [(name, value) for name, value in variables if name.startswith("SHOUWANG_URL_")]
    assert addresses
    for name, value in addresses:
        assert value == f"http://{name.removeprefix('SHOUWANG_URL_').lower()}:8000", name


@pytest.mark.parametrize("service", SERVICES)
def test_the_kubernetes_objects_of_a_service_carry_its_name(service: str) -> None:
    """A label or image of another service sends its traffic to the wrong pods, or runs the wrong code."""
    deployment, balancer = (rendered_object(kind, service) for kind in ("Deployment", "Service"))
    (container,) = _containers(deployment)
    name = "app.kubernetes.io/name"
    template = deployment["spec"]["template"]
    names = {
        "labels of the Deployment": deployment["metadata"]["labels"].get(name),
        "selector of the Deployment": deployment["spec"]["selector"]["matchLabels"].get(name),
        "labels of the pods": template["metadata"]["labels"].get(name),
        "name of the container": container["name"],
        "image, or its newName in kustomization.yaml": container["image"].rpartition("/")[2].partition(":")[0],
        "labels of the Service": balancer["metadata"]["labels"].get(name),
        "selector of the Service": balancer["spec"]["selector"].get(name),
    }
    wrong = {what: found for what, found in names.items() if found != service}
    assert not wrong, f"deploy/k8s/base/{service}.yaml: not {service}, but {wrong}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_its_own_user_of_kafka(service: str) -> None:
    entry = COMPOSE["services"][service]
    assert entry["environment"]["SHOUWANG_KAFKA_USERNAME"] == service
    assert entry["configs"] == [{"source": f"kafka-{service}", "target": "/kafka/password"}]
    (deployment,) = [d for d in rendered() if d["kind"] == "Deployment" and d["metadata"]["name"] == service]
    env = {v["name"]: v.get("value") for v in _containers(deployment)[0]["env"]}
    assert env["SHOUWANG_KAFKA_USERNAME"] == service
    assert env["SHOUWANG_KAFKA_PASSWORD_FILE"] == "/kafka/password"
    assert "SHOUWANG_KAFKA_TLS" not in env  # encrypted is the default
    (volume,) = [v for v in deployment["spec"]["template"]["spec"]["volumes"] if v["name"] == "kafka"]
    shown = [item["key"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
    assert shown == [service, "ca.crt"]


def test_only_the_jobs_of_kafka_get_its_super_user() -> None:
    administrators = {
        name
        for name, entry in COMPOSE["services"].items()
        if entry.get("environment", {}).get("SHOUWANG_KAFKA_USERNAME") == PROVISION
    }
    assert administrators == {"users", "topics"}
    holders = {d["metadata"]["name"] for d in rendered() if "shouwang-kafka-admin" in json.dumps(d)}
    assert holders == {"topics", "kafka-grants"}


def test_the_broker_of_compose_has_users_and_grants() -> None:
    """Its settings are those of the local broker."""
    with tempfile.TemporaryDirectory() as home:
        users = KafkaUsers(Path(home), "kafka:9092")
        users.make_passwords()
        for name, value in security(users).items():
            for user in ("broker", PROVISION):
                value = value.replace(users.password(user), f"{user}-local")
            assert COMPOSE["services"]["kafka"]["environment"][docker_variable(name)] == value


def test_compose_has_a_password_for_every_user_of_kafka() -> None:
    files = {path.name: path.read_text().strip() for path in (ROOT / "deploy/compose/kafka").iterdir()}
    assert files == {user: f"{user}-local" for user in [*SERVICES, PROVISION]}


def test_no_scalable_process_has_a_fixed_name_in_its_group() -> None:
    """Two replicas with one name fence each other endlessly."""
    for entry in COMPOSE["services"].values():
        assert "SHOUWANG_MEMBER" not in entry.get("environment", {})
    for document in rendered():
        for container in _containers(document):
            assert "SHOUWANG_MEMBER" not in {variable["name"] for variable in container.get("env", [])}


def test_an_ended_process_is_restarted() -> None:
    """The watchdog ends a process whose parts it cannot restart."""
    for service in SERVICES:
        assert composed(service)["restart"] == "unless-stopped", f"docker-compose.yml, {service}"
    for document in rendered():
        if document["kind"] == "Deployment":
            assert document["spec"]["template"]["spec"].get("restartPolicy", "Always") == "Always"


def test_compose_images_are_pinned_and_databases_are_those_of_the_services() -> None:
    for name, entry in COMPOSE["services"].items():
        if "image" in entry:
            assert re.search(r":[0-9][\w.]*$", entry["image"]), name
    made = set(re.findall(r"CREATE DATABASE (\w+);", (ROOT / "deploy/compose/databases.sql").read_text()))
    assert made == set(STORED), "deploy/compose/databases.sql"


def test_the_dockerfile_runs_without_root_and_for_every_service() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "ARG SERVICE" in text
    assert re.search(r"^USER (?!root|0)", text, re.MULTILINE)
    for copied in re.findall(r"^COPY (?!--from)([^\n]+) \S+$", text, re.MULTILINE):
        for source in copied.split():
            assert (ROOT / source).exists(), source


def test_every_server_limits_its_connections() -> None:
    """Images and the local runtime use the uvicorn protocol that limits headers, slow and open connections."""
    assert f"--http {machine.HTTP} " in (ROOT / "Dockerfile").read_text()
    module, name = machine.HTTP.split(":")
    assert issubclass(getattr(importlib.import_module(module), name), HttpToolsProtocol)


def test_ingestion_has_priority_where_processors_are_shared() -> None:
    nice = {p["name"]: p.get("nice", 0) for p in PROCESSES["processes"] if p["database"]}
    assert nice.pop("ingestion") < min(nice.values())
    shares = {name: composed(name).get("cpu_shares", 1024) for name in SERVICES}
    assert shares.pop("ingestion") > max(shares.values())
    asked = {
        d["metadata"]["name"]: int(_containers(d)[0]["resources"]["requests"]["cpu"].removesuffix("m"))
        for d in rendered()
        if d["kind"] == "Deployment"
    }
    assert asked.pop("ingestion") > max(asked.values())


def _containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    template = document.get("spec", {}).get("template", {})
    return list(template.get("spec", {}).get("containers", []))


def test_the_kubernetes_base_renders_and_is_valid() -> None:
    documents = rendered()
    for document in documents:
        kubernetes_validate.validate(document, "1.33", strict=True)
    for kind in ("Deployment", "Service"):
        assert {d["metadata"]["name"] for d in documents if d["kind"] == kind} == set(SERVICES), kind
    images = yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]
    assert {image["name"] for image in images} == {f"shouwang-{name}" for name in [*SERVICES, "tools"]}


def test_every_container_has_limits_and_no_privileges() -> None:
    for document in rendered():
        for container in _containers(document):
            assert container["resources"]["limits"]["memory"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
        if document["kind"] == "Deployment":
            (container,) = _containers(document)
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
