"""The chart as Helm renders it."""

import json
import shutil
import subprocess

import yaml

from e2e.localkube import gobuild
from tools.lib import paths

CHART = paths.ROOT / "charts" / "millrace"


def helm():
    """Builds it once per machine if there is none."""
    built = gobuild.bin_dir() / "helm"
    if built.exists():
        return built
    return shutil.which("helm") or gobuild.ensure() / "helm"


def render(values):
    """All objects, with `values` as {"alerts.enabled": True, …}."""
    arguments = [argument for key, value in values.items() for argument in ("--set-json", f"{key}={json.dumps(value)}")]
    done = subprocess.run([helm(), "template", "millrace", CHART, "-n", "millrace-system", "--kube-version", "1.34.0", *arguments],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(objects, kind):
    return [o for o in objects if o["kind"] == kind]
