"""Every alert of the chart fires when it should and is quiet when it should, says promtool."""

from pathlib import Path

import pytest
import yaml

from e2e.lib import chart
from e2e.lib.prometheus import promtool
from tools.lib import paths

CASES = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())


@pytest.fixture(scope="module")
def rules():
    objects = chart.render({"alerts.enabled": True, "strimziDashboards.enabled": True})
    return [g for r in chart.of_kind(objects, "PrometheusRule") for g in r["spec"]["groups"]]


def alerts(groups):
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_the_rules_are_rules(rules, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": rules}))
    promtool("check", "rules", file)


def test_each_alert_has_its_case_and_its_page(rules):
    names = set(alerts(rules))
    assert names == set(CASES)
    index = (paths.ROOT / "docs" / "runbooks" / "README.md").read_text()
    for name, rule in alerts(rules).items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        page = (paths.ROOT / "docs" / "runbooks" / f"{name}.md").read_text()
        assert page.startswith(f"# {name}\n") and "**What to do.**" in page and f"[{name}]({name}.md)" in index, name
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        for text in ("summary", "description"):
            assert rule["annotations"][text] and "$threshold" not in rule["annotations"][text], name
            assert "$window" not in rule["annotations"][text], name


def test_each_alert_fires_when_it_should_and_only_then(rules, tmp_path):
    rule_file = tmp_path / "rules.yaml"
    rule_file.write_text(yaml.safe_dump({"groups": rules}))
    tests = []
    for name, cases in CASES.items():
        assert {"fires", "quiet"} <= set(cases), name
        for kind, case in cases.items():
            firing = f'count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}})'
            labels = f'{{alertname="{name}"}}'
            # The operator is there, unless the case is about that.
            series = case["series"] if name == "MillraceOperatorDown" else {**case["series"], "millrace_operator_leader": "1x200"}
            tests.append({"interval": "1m", "input_series": [{"series": s, "values": str(v)} for s, v in series.items()],
                          "promql_expr_test": [{"expr": firing, "eval_time": case["at"],
                                                "exp_samples": [] if kind == "quiet" else [{"labels": labels, "value": 1}]}]})
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", tmp_path / "tests.yaml")


def test_for_threshold_window_and_severity_can_be_changed_and_an_alert_taken_out():
    changed = {"MillraceConsumerLagGrowing": {"for": "30m", "threshold": 5, "window": "2h", "severity": "page"},
               "MillraceOperatorDown": {"enabled": False}}
    rule = chart.of_kind(chart.render({"alerts.enabled": True, "alerts.rules": changed,
                                       "alerts.runbookUrl": "https://example.com/pages/"}), "PrometheusRule")[0]
    found = alerts(rule["spec"]["groups"])
    lag = found["MillraceConsumerLagGrowing"]
    assert (lag["for"], lag["labels"]["severity"]) == ("30m", "page")
    assert "> 5" in lag["expr"] and "[2h]" in lag["expr"] and "2h" in lag["annotations"]["description"]
    assert lag["annotations"]["runbook_url"] == "https://example.com/pages/MillraceConsumerLagGrowing.md"
    assert "MillraceOperatorDown" not in found and len(found) == len(CASES) - 1


@pytest.mark.parametrize("rules", [{"MillraceLagGrowing": {"for": "1m"}}, {"MillraceBrokerDown": {"form": "1m"}},
                                   {"MillraceBrokerDown": {"for": "soon"}}])
def test_a_misspelt_change_is_refused(rules):
    with pytest.raises(AssertionError):
        chart.render({"alerts.enabled": True, "alerts.rules": rules})
