"""An application in Java that knows nothing but the Secret of its User."""

import time
import uuid
from pathlib import Path

from e2e.lib import images
from e2e.localkube import cluster

SOURCE = Path(__file__).parent / "java" / "SecretClient.java"
RECORDS = 10_000


def test_a_java_pod_with_nothing_but_its_users_secret_produces_and_consumes(scene, took):
    began = time.monotonic()
    cluster.load_images([images.java_archive(SOURCE)])
    took("the image with Java, made and loaded", time.monotonic() - began)
    run = uuid.uuid4().hex[:8]
    name, kubectl = f"java-{run}", scene.kubernetes.kubectl
    scene.apply("Topic", "orders-java", partitions=4, replicationFactor=1, onDelete="Delete")
    scene.kubernetes.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False,
                 "volumes": [{"name": "secret", "secret": {"secretName": "writer"}}],
                 "containers": [{"name": "client", "image": images.JAVA,
                                 "args": ["/secret/client.properties", "orders-java", f"orders-{run}", run, str(RECORDS)],
                                 "volumeMounts": [{"name": "secret", "mountPath": "/secret"}]}]}})
    try:
        began = time.monotonic()
        done = kubectl("wait", f"pod/{name}", "-n", scene.namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=150s",
                       check=False, seconds=160)
        log = kubectl("logs", "-n", scene.namespace, name)
        assert done.returncode == 0, log
        assert log.splitlines()[-2:] == [f"produced {RECORDS}", f"consumed {RECORDS} in order"]
        took(f"a Java pod: {RECORDS} records there and back", time.monotonic() - began)
    finally:
        kubectl("delete", "pod", name, "-n", scene.namespace, "--wait=false")
        scene.delete("Topic", "orders-java")
