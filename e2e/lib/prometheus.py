"""A real Prometheus: Debian's package, unpacked into the cache. It is not installed, so that no service of it ever runs."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from e2e.lib.process import Process, free_ports, wait_until
from tools.lib import paths


def ensure():
    """The folder with `prometheus` and `promtool`; fetches the package if this machine has not got it yet."""
    target = paths.cache_dir() / "prometheus"
    if (target / "promtool").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "prometheus.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want it at once
        if (target / "promtool").exists():
            return target
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        scratch.chmod(0o755)
        try:
            for command in (["apt-get", "download", "-q", "prometheus"],
                            ["sh", "-c", "dpkg-deb -x prometheus_*.deb unpacked"]):
                result = subprocess.run(command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
                if result.returncode != 0:
                    raise RuntimeError(f"{' '.join(command)}:\n{(result.stdout + result.stderr)[-2000:]}\nis apt-get update due?")
            os.replace(scratch / "unpacked" / "usr" / "bin", target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def promtool(*arguments, check=True):
    result = subprocess.run([ensure() / "promtool", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=120)
    if check and result.returncode != 0:
        raise AssertionError(f"promtool {' '.join(map(str, arguments))}\n{result.stdout}{result.stderr}")
    return result


class Prometheus:
    """`scrapes`: a list of scrape_configs; `rules`: the content of a rule file. Use it as a context manager."""

    def __init__(self, folder, scrapes, rules, interval="1s"):
        self.folder = folder
        self.port = free_ports(1)[0]
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": ["rules.yaml"], "scrape_configs": scrapes}))

    def __enter__(self):
        self.process = Process(
            [ensure() / "prometheus", f"--config.file={self.folder / 'prometheus.yaml'}",
             f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
             "--web.enable-lifecycle"], log=self.folder / "prometheus.log")
        wait_until(self._ready, 30, "Prometheus ready")
        return self

    def __exit__(self, *_):
        self.process.stop(20)

    def _ready(self):
        try:
            return self._get("/-/ready") is not None
        except OSError:
            return False

    def _get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()

    def query(self, expression):
        """[(labels, value), …] now."""
        answer = json.loads(self._get("/api/v1/query", query=expression))
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]

    def value(self, expression):
        """The only one; None without any."""
        samples = self.query(expression)
        assert len(samples) <= 1, f"{expression}: {samples}"
        return samples[0][1] if samples else None

    def alerts(self):
        """Those that fire: [{"labels": …, "annotations": …}, …]."""
        return [a for a in json.loads(self._get("/api/v1/alerts"))["data"]["alerts"] if a["state"] == "firing"]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.alerts()}

    def unhealthy_rules(self):
        groups = json.loads(self._get("/api/v1/rules"))["data"]["groups"]
        return [(rule["name"], rule.get("lastError")) for group in groups for rule in group["rules"] if rule["health"] == "err"]
