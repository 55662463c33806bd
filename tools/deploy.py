"""Check the files in docker/ and deploy/ for what no schema says: `python tools/deploy.py`.

Linters know whether a manifest is one. Whether its selectors meet, whether a pod could do more
than it has to, whether a secret stands in it, and whether lime-server knows the settings, is ours
to ask.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lime_server.settings import PREFIX, Settings, unknown_variables

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "deploy" / "kubernetes"
COMPOSE = ROOT / "docker" / "compose.yaml"
DOCKERFILE = ROOT / "docker" / "Dockerfile"

SECRETS = frozenset(
    PREFIX + name.upper()
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation)
)
TIME_TO_CLOSE = 5
"""Seconds that a server gets after it has waited for everybody."""

Document = dict[str, Any]


def main() -> int:
    """Print each problem. Returns the exit status."""
    files = sorted(MANIFESTS.glob("*.yaml"))
    manifests = [list(yaml.safe_load_all(file.read_text())) for file in files]
    documents = [each for manifest in manifests for each in manifest]
    problems = [
        *manifest_problems(documents),
        *order_problems(manifests),
        *compose_problems(yaml.safe_load(COMPOSE.read_text())),
        *dockerfile_problems(DOCKERFILE.read_text()),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(documents)} manifests, the compose file and the Dockerfile are in order")
    return 1 if problems else 0


def manifest_problems(documents: Sequence[Document]) -> list[str]:
    """What is wrong with Kubernetes manifests that are applied together."""
    return [
        f"{name_of(document)}: {problem}"
        for document in documents
        for problem in (
            *pod_problems(document, documents),
            *selector_problems(document, documents),
            *config_problems(document),
        )
    ]


def order_problems(manifests: Sequence[Sequence[Document]]) -> Iterator[str]:
    """What a Job needs that comes only with the Deployment, which is applied after it."""
    before = {
        name_of(document)
        for documents in manifests
        if not any(document["kind"] == "Deployment" for document in documents)
        for document in documents
    }
    for document in (each for documents in manifests for each in documents):
        if document["kind"] == "Job":
            account = f"ServiceAccount/{document['spec']['template']['spec']['serviceAccountName']}"
            if account not in before:
                yield f"{name_of(document)}: {account} is not there yet when it runs"


def name_of(document: Document) -> str:
    """Kind and name, for people."""
    return f"{document['kind']}/{document['metadata']['name']}"


# Pods


def pod_problems(document: Document, documents: Sequence[Document]) -> Iterator[str]:
    """What the pods of a Deployment or Job could do that they need not."""
    template = template_of(document)
    if template is None:
        return
    pod = template["spec"]
    if pod.get("automountServiceAccountToken") is not False:
        yield "a token of the cluster is mounted"
    whole = pod.get("securityContext", {})
    if whole.get("runAsNonRoot") is not True or not whole.get("runAsUser"):
        yield "may run as root"
    if whole.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for container in pod["containers"]:
        yield from container_problems(container)
        if document["kind"] == "Deployment":
            yield from server_problems(container, pod, documents)


def container_problems(container: Document) -> Iterator[str]:
    """What one container could do that it need not, and what stands in its environment."""
    own = container.get("securityContext", {})
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    if own.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    if not resources.get("requests") or "memory" not in resources.get("limits", {}):
        yield "takes what it wants of the node"
    if not re.search(r":[0-9]+\.[0-9]+\.[0-9]+$|@sha256:[0-9a-f]{64}$", container["image"]):
        yield f"runs {container['image']}, which may be another one tomorrow"
    for variable in container.get("env", ()):
        yield from variable_problems(variable["name"], variable.get("value"))


def server_problems(
    container: Document, pod: Document, documents: Sequence[Document]
) -> Iterator[str]:
    """Whether Kubernetes can tell how a server is, and lets it end in its own time."""
    ports = {port["name"] for port in container.get("ports", ())}
    for probe, path in (
        ("startupProbe", "/health/live"),
        ("livenessProbe", "/health/live"),
        ("readinessProbe", "/health/ready"),
    ):
        asked = container.get(probe, {}).get("httpGet", {})
        if asked.get("path") != path or asked.get("port") not in ports:
            yield f"has no {probe} that asks {path}"
    values = {
        name: value
        for document in documents
        if document["kind"] == "ConfigMap"
        for name, value in document["data"].items()
    }
    waits = float(values.get("LIME_SHUTDOWN_DELAY", 0)) + float(
        values.get("LIME_SHUTDOWN_TIMEOUT", Settings.model_fields["shutdown_timeout"].default)
    )
    if pod.get("terminationGracePeriodSeconds", 30) < waits + TIME_TO_CLOSE:
        yield f"is killed before it has waited for {waits:g} s"


def config_problems(document: Document) -> Iterator[str]:
    """Settings that are none, and secrets where everybody reads them."""
    if document["kind"] == "ConfigMap":
        for name, value in document["data"].items():
            yield from variable_problems(name, value)
    if document["kind"] == "Secret":
        yield "a secret stands in the repository"


def variable_problems(name: str, value: str | None) -> Iterator[str]:
    """What is wrong with an environment variable; `value` is None where it is referred to."""
    if unknown_variables([name]) or not name.startswith(PREFIX):
        yield f"{name} is not a setting of lime-server"
    if value is not None and name in SECRETS:
        yield f"the secret {name} stands in the file"


# What must meet


def selector_problems(document: Document, documents: Sequence[Document]) -> Iterator[str]:
    """Selectors, ports and names that lead nowhere."""
    kind, spec = document["kind"], document.get("spec", {})
    if document["kind"] != "Namespace" and document["metadata"].get("namespace") is None:
        yield "belongs to whatever namespace is the current one"
    if kind in {"Deployment", "PodDisruptionBudget"}:
        yield from selects_something(spec["selector"]["matchLabels"], documents)
    if kind == "NetworkPolicy":
        yield from selects_something(spec["podSelector"].get("matchLabels", {}), documents)
    if kind == "Service":
        yield from selects_something(spec["selector"], documents)
        ports = {
            port["name"]
            for pod in pods_of(documents)
            for container in pod["spec"]["containers"]
            for port in container.get("ports", ())
        }
        for port in spec["ports"]:
            if port["targetPort"] not in ports:
                yield f"no container has a port {port['targetPort']}"
    if kind == "HorizontalPodAutoscaler":
        target = spec["scaleTargetRef"]
        if f"{target['kind']}/{target['name']}" not in map(name_of, documents):
            yield f"scales {target['kind']}/{target['name']}, which is not there"


def selects_something(labels: dict[str, str], documents: Sequence[Document]) -> Iterator[str]:
    """A problem, unless some pod has all of `labels`."""
    if not any(labels.items() <= pod["metadata"]["labels"].items() for pod in pods_of(documents)):
        yield "selects no pod"


def pods_of(documents: Sequence[Document]) -> Iterator[Document]:
    """The templates of all pods."""
    for document in documents:
        if (template := template_of(document)) is not None:
            yield template


def template_of(document: Document) -> Document | None:
    """The template of the pods that `document` makes, if it makes any."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template: Document | None = spec.get("template")
    return template


# The image and the machine to try it on


def compose_problems(compose: Document) -> list[str]:
    """What is wrong with a compose file that its schema allows."""
    return [
        f"{name}: {problem}"
        for name, service in compose["services"].items()
        for problem in service_problems(service)
    ]


def service_problems(service: Document) -> Iterator[str]:
    """What is wrong with one service."""
    for published in service.get("ports", ()):
        if not str(published).startswith("127.0.0.1:"):
            yield f"{published} is published to everybody"
    for name, value in service.get("environment", {}).items():
        if name.startswith(PREFIX) and unknown_variables([name]):
            yield f"{name} is not a setting of lime-server"
        secret = name in SECRETS or "PASSWORD" in name
        # A URL on the machine's own network may do without one.
        if secret and "${" not in value and "@" in value:
            yield f"the secret {name} stands in the file"
        if secret and "URL" not in name and "${" not in value:
            yield f"the secret {name} stands in the file"
    if "build" in service:
        if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
            yield "may do more than it needs"
        if "no-new-privileges:true" not in service.get("security_opt", ()):
            yield "may gain privileges"


def dockerfile_problems(text: str) -> list[str]:
    """What is wrong with a Dockerfile that its linter allows."""
    last = text.rpartition("\nFROM ")[2]
    problems = []
    user = re.search(r"^USER ([0-9]+):[0-9]+$", last, re.MULTILINE)
    if user is None or int(user[1]) == 0:
        problems.append(
            "Dockerfile: runs as root, or as a name that Kubernetes cannot tell from it"
        )
    if "\nHEALTHCHECK " not in last:
        problems.append("Dockerfile: has no HEALTHCHECK")
    if not re.search(r"^ENTRYPOINT \[", last, re.MULTILINE):
        problems.append("Dockerfile: a shell would keep the signals from the program")
    problems += [
        f"Dockerfile: installs what nobody has hashed: {command.strip()}"
        for command in re.findall(r"pip install[^&\n]*", text)
        if "--require-hashes" not in command and "--no-index" not in command
    ]
    variables = re.findall(rf"^\s+({PREFIX}\w+)=", text, re.MULTILINE)
    problems += [
        f"Dockerfile: {name} is not a setting of lime-server"
        for name in unknown_variables(variables)
    ]
    return problems


if __name__ == "__main__":
    sys.exit(main())
