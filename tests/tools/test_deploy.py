"""The check of deployment files finds what is planted, and nothing in the files as they are."""

import copy
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tools import deploy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manifests():
    return [
        each
        for file in sorted(deploy.MANIFESTS.glob("*.yaml"))
        for each in yaml.safe_load_all(file.read_text())
    ]


@pytest.fixture
def compose():
    return yaml.safe_load(deploy.COMPOSE.read_text())


def test_the_files_are_in_order(capsys):
    assert deploy.main() == 0
    assert "are in order" in capsys.readouterr().out


def test_a_problem_ends_with_one_and_is_said(monkeypatch, tmp_path, capsys):
    file = tmp_path / "Dockerfile"
    file.write_text(deploy.DOCKERFILE.read_text().replace("USER 10001:10001", "USER root"))
    monkeypatch.setattr(deploy, "DOCKERFILE", file)
    assert deploy.main() == 1
    assert "runs as root" in capsys.readouterr().err


def test_what_a_job_needs_is_there_before_it_runs():
    account = {"kind": "ServiceAccount", "metadata": {"name": "lime"}}
    server = {"kind": "Deployment", "metadata": {"name": "lime"}}
    pod = {"template": {"spec": {"serviceAccountName": "lime"}}}
    job = {"kind": "Job", "metadata": {"name": "migrate"}, "spec": pod}
    assert not list(deploy.order_problems([[account], [server], [job]]))
    assert list(deploy.order_problems([[account, server], [job]])) == [
        "Job/migrate: ServiceAccount/lime is not there yet when it runs"
    ]


def of(documents, kind):
    return next(each for each in documents if each["kind"] == kind)


def pod(documents, kind="Deployment"):
    return of(documents, kind)["spec"]["template"]["spec"]


def container(documents, kind="Deployment"):
    return pod(documents, kind)["containers"][0]


PLANTED = {
    "a token of the cluster is mounted": lambda d: pod(d).pop("automountServiceAccountToken"),
    "may run as root": lambda d: pod(d, "Job")["securityContext"].pop("runAsUser"),
    "has no seccomp profile": lambda d: pod(d)["securityContext"].pop("seccompProfile"),
    "may gain privileges": lambda d: container(d)["securityContext"].pop(
        "allowPrivilegeEscalation"
    ),
    "may write to its root": lambda d: container(d)["securityContext"].update(
        readOnlyRootFilesystem=False
    ),
    "keeps capabilities": lambda d: container(d)["securityContext"].pop("capabilities"),
    "takes what it wants of the node": lambda d: container(d)["resources"]["limits"].clear(),
    "may be another one tomorrow": lambda d: container(d).update(image="lime-server:latest"),
    "LIME_DIFICULTY is not a setting": lambda d: of(d, "ConfigMap")["data"].update(
        LIME_DIFICULTY="3"
    ),
    "HOME is not a setting": lambda d: container(d)["env"].append({"name": "HOME", "value": "/"}),
    "the secret LIME_MASTER_KEY stands in the file": lambda d: of(d, "ConfigMap")["data"].update(
        LIME_MASTER_KEY="0"
    ),
    "the secret LIME_DATABASE_URL stands in the file": lambda d: container(d)["env"].append(
        {"name": "LIME_DATABASE_URL", "value": "postgresql://lime:secret@db/lime"}
    ),
    "a secret stands in the repository": lambda d: d.append(
        {"kind": "Secret", "metadata": {"name": "lime", "namespace": "lime"}}
    ),
    "has no livenessProbe that asks /health/live": lambda d: container(d)["livenessProbe"][
        "httpGet"
    ].update(path="/health/ready"),
    "has no readinessProbe that asks /health/ready": lambda d: container(d).pop("readinessProbe"),
    "has no startupProbe that asks /health/live": lambda d: container(d)["startupProbe"][
        "httpGet"
    ].update(port="web"),
    "is killed before it has waited for 20 s": lambda d: pod(d).update(
        terminationGracePeriodSeconds=24
    ),
    "belongs to whatever namespace": lambda d: of(d, "Service")["metadata"].pop("namespace"),
    "PodDisruptionBudget/lime: selects no pod": lambda d: of(d, "PodDisruptionBudget")["spec"][
        "selector"
    ]["matchLabels"].update(a="b"),
    "NetworkPolicy/lime: selects no pod": lambda d: of(d, "NetworkPolicy")["spec"]["podSelector"][
        "matchLabels"
    ].update(a="b"),
    "Service/lime: selects no pod": lambda d: of(d, "Service")["spec"]["selector"].update(a="b"),
    "Deployment/lime: selects no pod": lambda d: of(d, "Deployment")["spec"]["selector"][
        "matchLabels"
    ].update(a="b"),
    "no container has a port web": lambda d: of(d, "Service")["spec"]["ports"][0].update(
        targetPort="web"
    ),
    "scales Deployment/other": lambda d: of(d, "HorizontalPodAutoscaler")["spec"][
        "scaleTargetRef"
    ].update(name="other"),
}


@pytest.mark.parametrize("problem", PLANTED)
def test_what_is_planted_in_a_manifest_is_found(manifests, problem):
    changed = copy.deepcopy(manifests)
    PLANTED[problem](changed)
    assert any(problem in found for found in deploy.manifest_problems(changed))


IN_COMPOSE = {
    "is published to everybody": lambda lime: lime.update(ports=["8080:8080"]),
    "LIME_DIFICULTY is not a setting": lambda lime: lime["environment"].update(LIME_DIFICULTY="3"),
    "the secret LIME_MASTER_KEY stands": lambda lime: lime["environment"].update(
        LIME_MASTER_KEY="00"
    ),
    "the secret LIME_DATABASE_URL stands": lambda lime: lime["environment"].update(
        LIME_DATABASE_URL="postgresql://lime:secret@db/lime"
    ),
    "may do more than it needs": lambda lime: lime.pop("read_only"),
    "may gain privileges": lambda lime: lime.pop("security_opt"),
}


@pytest.mark.parametrize("problem", IN_COMPOSE)
def test_what_is_planted_in_the_compose_file_is_found(compose, problem):
    changed = copy.deepcopy(compose)
    IN_COMPOSE[problem](changed["services"]["lime"])
    assert any(problem in found for found in deploy.compose_problems(changed))


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("USER 10001:10001", "USER 0:0", "runs as root"),
        ("HEALTHCHECK ", "# HEALTHCHECK ", "has no HEALTHCHECK"),
        ('ENTRYPOINT ["lime-server"]', "ENTRYPOINT lime-server", "keep the signals"),
        ("--require-hashes ", "", "nobody has hashed"),
        ("LIME_HOST", "LIME_HOTS", "LIME_HOTS is not a setting"),
    ],
)
def test_what_is_planted_in_the_dockerfile_is_found(was, becomes, problem):
    text = deploy.DOCKERFILE.read_text()
    assert was in text
    assert any(problem in found for found in deploy.dockerfile_problems(text.replace(was, becomes)))


def test_the_image_installs_what_the_server_says_it_needs():
    project = tomllib.loads((ROOT / "packages/lime-server/pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["otel"]]
    asked = {re.split(r"[<>=;]", each)[0] for each in needed}
    listed = {
        re.split(r"[<>=;]", line)[0]
        for line in (ROOT / "requirements/server.in").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert listed == {name for name in asked if not name.startswith("lime-")}


def test_the_image_installs_the_versions_that_are_tested():
    def pins(name):
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;]+)", text, re.MULTILINE))

    server, tested = pins("server.txt"), pins("dev.txt")
    assert server.items() <= tested.items()
    assert len(server) > 20
