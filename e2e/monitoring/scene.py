"""What the chart says about scraping, carried out without Kubernetes."""

import json
import re
import threading

import yaml

from e2e.lib import chart

SNAKE = {"sourceLabels": "source_labels", "targetLabel": "target_label"}


def relabelings(rules):
    return [{SNAKE.get(key, key): value for key, value in rule.items()} for rule in rules]


def scrape_config(monitor, targets):
    """As the Prometheus operator translates a PodMonitor; `targets`: a file of static targets."""
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    return {
        "job_name": monitor["metadata"]["name"],
        "metrics_path": endpoint["path"],
        "honor_labels": endpoint.get("honorLabels", False),
        "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
        "relabel_configs": relabelings(endpoint.get("relabelings", [])),
        "metric_relabel_configs": relabelings(endpoint.get("metricRelabelings", [])),
    }


def group_of(address, pod, namespace, container, **meta):
    """A target with the labels that the Prometheus operator gives to a pod's, and those that relabeling sees."""
    return {"targets": [address], "labels": {
        "pod": pod, "namespace": namespace, "container": container, "__meta_kubernetes_pod_name": pod,
        "__meta_kubernetes_pod_node_name": "node-1", **{f"__meta_kubernetes_pod_label_{k}": v for k, v in meta.items()}}}


class Targets:
    """Keeps the files of targets as the processes are: a broker that starts again may listen elsewhere."""

    def __init__(self, folder, nodes, operator_address):
        self.brokers, self.operator = folder / "brokers.json", folder / "operator.json"
        self.nodes = nodes
        self.operator.write_text(json.dumps([group_of(operator_address, "millrace-operator-0", "millrace-system", "operator")]))
        self._written = None
        self.write()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def addresses(self):
        found = {}
        for line in list(self.nodes.process.lines):
            if '"broker started"' in line:
                port = re.search(r'"http":(\d+)', line)[1]
                found[re.search(r'"pod":"([^"]+)"', line)[1]] = f"127.0.0.1:{port}"
        return found

    def write(self):
        text = json.dumps([group_of(address, pod, "kafka", "kafka", millrace_io_cluster="orders", millrace_io_pool="main")
                           for pod, address in sorted(self.addresses().items())])
        if text != self._written:
            temporary = self.brokers.with_suffix(".tmp")
            temporary.write_text(text)
            temporary.rename(self.brokers)
            self._written = text

    def _follow(self):
        while not self._stop.wait(0.3):
            self.write()

    def close(self):
        self._stop.set()
        self._thread.join()


def quick_rules(**more):
    """Every alert at once; windows that a test can wait for."""
    groups = yaml.safe_load((chart.CHART / "files" / "alerts.yaml").read_text())
    rules = {rule["alert"]: {"for": "1s"} for group in groups.values() for rule in group}
    for name, change in more.items():
        rules[name] |= change
    return rules
