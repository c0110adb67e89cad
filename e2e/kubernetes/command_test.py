"""`kubectl millrace` on Kubernetes: how the cluster is, records as a User, lag, a rolling restart with its progress."""

import re
import subprocess
from pathlib import Path

from e2e.lib.millrace import PROGRAM, millrace, millrace_json
from e2e.localkube import gobuild, layout

TOPIC, GROUP = "orders.command", "orders.command"


def where(scene):
    return ["--kubeconfig", layout.kubeconfig(), "--namespace", scene.namespace]


def test_status_says_how_it_is_and_how_to_connect(scene):
    [found] = millrace_json("status", *where(scene))["clusters"]
    assert (found["name"], found["ready"]) == (scene.cluster, True)
    [tls] = [li for li in found["listeners"] if li["exposed"]]
    assert tls["bootstrap"] == scene.secret("writer")["bootstrap.tls"].decode()
    # As kubectl's plug-in.
    plugin = Path(PROGRAM).parent
    out = subprocess.run([gobuild.bin_dir() / "kubectl", "millrace", "status", *map(str, where(scene))], capture_output=True, text=True,
                         env={"PATH": f"{plugin}:/usr/bin:/bin"}, timeout=60)
    assert out.returncode == 0 and re.search(r"^State +Ready", out.stdout, re.M), out.stderr
    missing = millrace("status", "--kubeconfig", layout.kubeconfig(), "--namespace", "default", check=False)
    assert missing.code == 4 and f"{scene.namespace}/{scene.cluster}" in missing.err


def test_records_flow_as_a_user_and_lag_follows(scene):
    scene.apply("Topic", TOPIC, partitions=2, replicationFactor=1, onDelete="Delete")
    as_writer = [*where(scene), "--user", "writer"]
    millrace("produce", TOPIC, *as_writer, stdin="".join(f"{n}\n" for n in range(20)))
    read = millrace("consume", TOPIC, "--group", GROUP, "--from-beginning", "--count", 15, *as_writer).out.split()
    assert len(read) == 15
    [group] = millrace_json("lag", GROUP, *as_writer)["groups"]
    assert (group["state"], group["lag"]) == ("Empty", 5)


def test_a_roll_is_shown_until_every_node_was_restarted(scene):
    before = scene.broker_pod()["metadata"]["uid"]
    said = millrace("roll", *where(scene), seconds=180).out
    assert "every node was restarted" in said
    scene.wait_available()
    assert scene.broker_pod()["metadata"]["uid"] != before
