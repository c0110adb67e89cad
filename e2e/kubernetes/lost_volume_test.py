"""The broker's volume is emptied behind our back: nothing is made in its place, and the status says what happened."""

import os
import shutil
import signal
import time

from e2e.kubernetes.audit import Audit
from e2e.kubernetes.conftest import apply_small
from e2e.lib.process import wait_until


def identities(scene):
    """What would be others if anything had been made anew."""
    status = scene.get("Cluster", "small")["status"]
    return status["clusterId"], status["initialControllers"], scene.get("Topic", "shop")["status"]["topicId"], scene.secret("service")["password"]


def restarts(scene):
    return scene.broker_pod()["status"]["containerStatuses"][0]["restartCount"]


def test_an_emptied_volume_is_told_and_not_filled(millrace, tmp_path, took):
    with millrace.namespace("millrace-e2e-wiped", wait=False) as namespace:
        scene = apply_small(millrace, namespace)
        scene.wait_all_ready(120)
        before, log, kept = identities(scene), scene.log_folder(), tmp_path / "kept"
        audit = Audit()
        process = scene.broker_process()
        os.kill(process, signal.SIGSTOP)  # nothing moves while it is copied
        shutil.copytree(log, kept)
        for entry in log.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        os.kill(process, signal.SIGKILL)
        began = time.monotonic()

        def told():
            status, _, message = scene.condition("Cluster", "small")
            return message if status == "False" and "is empty" in message else None
        message = wait_until(told, 60, "a status that names the empty volume", every=0.2)
        took("an emptied volume until the status says so", time.monotonic() - began)
        assert log.name in message and before[0] in message and "restore the volume" in message
        first = restarts(scene)
        wait_until(lambda: restarts(scene) > first, 90, "another attempt to start", every=0.5)
        # After all of this the folder is as empty as before, and nobody drew a new identity.
        assert list(log.iterdir()) == []
        assert identities(scene) == before
        assert [str(w) for w in audit.writes(namespace) if w.resource not in ("clusters/status", "events")] == []

        owner = log.stat()
        shutil.copytree(kept, log, dirs_exist_ok=True)
        for entry in [log, *log.rglob("*")]:
            os.chown(entry, owner.st_uid, owner.st_gid)
        began = time.monotonic()
        millrace.kubectl("delete", "pod", scene.pod, "-n", namespace, "--wait=false")  # instead of the kubelet's back-off
        scene.wait_available(120)
        took("the volume restored until the Cluster is Ready", time.monotonic() - began)
        scene.wait_all_ready(30)
        assert identities(scene) == before
        assert [str(w) for w in audit.writes(namespace) if w.resource not in ("clusters/status", "events")] == []
