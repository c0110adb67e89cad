"""The dashboards as Grafana gets them."""

import json
import subprocess

import pytest

from e2e.lib import chart
from tools.lib import paths


@pytest.fixture(scope="module")
def config_maps():
    objects = chart.render({"dashboards.enabled": True, "dashboards.labels": {"grafana_dashboard": "1", "team": "data"},
                            "dashboards.annotations": {"grafana_folder": "Kafka"}})
    return [o for o in chart.of_kind(objects, "ConfigMap") if "team" in o["metadata"]["labels"]]


@pytest.fixture(scope="module")
def dashboards(config_maps):
    return {name: json.loads(text) for one in config_maps for name, text in one["data"].items()}


def test_they_come_as_labelled_config_maps_only_when_wanted(config_maps):
    assert len(config_maps) == 5
    for one in config_maps:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Kafka"}
        assert len(json.dumps(one)) < 900_000  # an object's limit is 1 MiB
    assert not chart.of_kind(chart.render({}), "ConfigMap") and not chart.of_kind(chart.render({}), "PrometheusRule")


def test_they_are_what_the_tool_makes():
    assert subprocess.run([paths.ROOT / "tools" / "dashboards", "--check"]).returncode == 0


def test_each_has_a_name_of_its_own_and_links_to_the_others(dashboards):
    assert len({d["uid"] for d in dashboards.values()}) == len({d["title"] for d in dashboards.values()}) == 5
    for dashboard in dashboards.values():
        assert "millrace" in dashboard["tags"] and dashboard["links"][0]["tags"] == ["millrace"]


def test_panels_fill_their_grid_without_overlap(dashboards):
    for name, dashboard in dashboards.items():
        taken = {}
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, (name, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    assert (x, y) not in taken, (name, panel["title"], taken.get((x, y)))
                    taken[x, y] = panel["title"]
        assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_panel_says_what_it_shows_and_where_from(dashboards):
    for name, dashboard in dashboards.items():
        variables = {v["name"] for v in dashboard["templating"]["list"]}
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["title"] and panel["description"].endswith("."), (name, panel["title"])
            assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]
            for target in panel["targets"]:
                for variable in ("namespace", "cluster", "pod", "topic", "group"):
                    assert f"${variable}" not in target["expr"] or variable in variables, (name, panel["title"])
