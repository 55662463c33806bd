"""The dashboard and the alerts ask for what a server says, in words that Prometheus knows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from lime_server.infrastructure.web.metrics import TOKEN_EVENTS, Metrics
from tests.support.deployment import Deployment
from tests.support.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
OPERATIONS = ROOT / "docs" / "operations.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "lime.json"

# What Prometheus adds to what it scrapes, and Grafana's own word for a suitable range.
BY_PROMETHEUS = {"up"}
RANGE = ("$__rate_interval", "5m")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    """Every query of both."""
    asked = [target["expr"].replace(*RANGE) for panel in panels() for target in panel["targets"]]
    return asked + [rule["expr"] for rule in alerts()]


def selectors(node: object) -> Iterator[Any]:
    """Every `name{label="value"}` within a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        if (child := getattr(node, part, None)) is not None:
            yield from selectors(child)
    arguments = getattr(node, "args", None)
    for child in arguments if isinstance(arguments, list) else getattr(arguments, "args", ()):
        yield from selectors(child)


def exposed(text: str) -> dict[str, set[str]]:
    """The names of all samples, with the labels that each has."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"(\w+)(?:\{(.*)\})? ", line):
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return found


@pytest.mark.parametrize("expression", expressions())
def test_every_query_parses_and_asks_for_something(expression: str) -> None:
    parsed = promql_parser.parse(expression)
    asked = list(selectors(parsed))
    # As many as there are names in it: nothing was overlooked.
    assert len(asked) == len(re.findall(r"\b(?:lime_\w+|up)\b", expression)) > 0


def test_every_metric_that_is_asked_for_is_one_that_a_server_has(deployment: Deployment) -> None:
    with deployment.server("watched") as server, Wire(server.api_base) as wire:
        wire.login(deployment.agent(), deployment.site())
        has = exposed(wire.http.get(f"{server.public_url}/metrics").text)
    # Only where the server has counted something yet.
    has["lime_http_request_seconds_bucket"] |= {"method", "route", "status", "le"}
    given_by_prometheus = {"job", "instance"}
    for expression in expressions():
        for selector in selectors(promql_parser.parse(expression)):
            if selector.name in BY_PROMETHEUS:
                continue
            assert selector.name in has, expression
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels - given_by_prometheus <= has[selector.name], expression


def test_every_label_that_is_asked_for_is_one_that_is_counted() -> None:
    text = Metrics().render().decode()
    values = {
        "outcome": set(re.findall(r'outcome="(\w+)"', text)),
        "what": set(TOKEN_EVENTS),
        "engine": {"postgres", "redis"},
        "status": {"500", "503"},
        "method": {"POST"},
    }
    for expression in expressions():
        for label, either in re.findall(r'(\w+)=~?"([\w|]+)"', expression):
            assert label == "job" or set(either.split("|")) <= values[label], expression


def test_a_query_for_what_is_not_there_would_be_noticed() -> None:
    with pytest.raises(ValueError, match=r"."):
        promql_parser.parse("sum(rate(lime_logins_total[5m])")
    (selector,) = selectors(promql_parser.parse("sum(rate(lime_lgins_total[5m])) > 1"))
    assert selector.name not in exposed(Metrics().render().decode())


def families() -> set[str]:
    """The names of all that a server counts."""
    names = re.findall(r"# TYPE (\w+) ", Metrics().render().decode())
    return {name for name in names if not name.endswith("_created")}


def test_every_metric_of_the_server_is_on_the_dashboard() -> None:
    shown = "".join(target["expr"] for panel in panels() for target in panel["targets"])
    assert families()
    assert {name for name in families() if name not in shown} == set()


def test_every_metric_of_the_server_is_explained() -> None:
    rows = [row for row in OPERATIONS.read_text().splitlines() if row.startswith("| `lime_")]
    explained = set(re.findall(r"`(lime_\w+)", "".join(rows)))
    assert explained == families()


def test_alerts_have_names_of_their_own_and_say_what_to_do() -> None:
    rules = alerts()
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names) >= 10
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_panels_do_not_cover_each_other_and_have_ids_of_their_own() -> None:
    places = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places
        assert max(x for x, _ in cells) < 24
        places |= cells
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
