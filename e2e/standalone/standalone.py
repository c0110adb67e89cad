"""`millrace-operator standalone` as an ordinary user, seen as that user sees it: YAML files, status files, Secret files."""

import os
import time

import yaml

from e2e.lib import kcat
from e2e.lib.process import Process, wait_until

ORDINARY_USER = (65534, 65534)  # nobody


def resource(kind, name, /, **spec):
    """A resource as a file holds it; all live in the namespace kafka."""
    version = "v1" if kind == "Namespace" else "millrace.io/v1beta1"
    meta = {"name": name} if kind == "Namespace" else {"name": name, "namespace": "kafka"}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **({"spec": spec} if spec else {})}


class Standalone:
    def __init__(self, programs, folder):
        self.programs = programs
        self.folder = folder
        self.resources = folder / "resources"
        self.data = folder / "data"
        self.process = None
        self.options = []  # more of the operator's

    def start(self):
        uid, gid = ORDINARY_USER
        self.process = Process(
            ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", self.programs / "millrace-operator", "standalone",
             "--resources", self.resources, "--data", self.data, "--broker", self.programs / "millrace-broker", *self.options],
            log=self.folder / "operator.log", cwd="/")
        return self

    def stop(self):
        return self.process.stop(20)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.stop()

    def apply(self, name, resource):
        """Writes a resource file as an editor does: complete, then in place."""
        path = self.resources / name
        temporary = path.with_suffix(".tmp")
        temporary.write_text(yaml.safe_dump(resource))
        os.chown(temporary, *ORDINARY_USER)
        temporary.rename(path)

    def remove(self, name):
        (self.resources / name).unlink()

    def status(self, name):
        """The status written beside a resource file; {} while there is none."""
        try:
            documents = list(yaml.safe_load_all((self.resources / name).with_suffix(".status").read_text()))
        except FileNotFoundError:
            return {}
        return next((d.get("status", {}) for d in documents if d), {})

    def ready(self, name):
        """(status, reason, message) of the condition Ready."""
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == "Ready":
                return condition["status"], condition["reason"], condition["message"]
        return None, None, None

    def wait_ready(self, name, seconds=15):
        began = time.monotonic()
        wait_until(lambda: self.ready(name)[0] == "True", seconds, f"{name} Ready (now {self.ready(name)})")
        return time.monotonic() - began

    def wait_reason(self, name, reason, seconds=15):
        wait_until(lambda: self.ready(name)[1] == reason, seconds, f"{name} {reason}")
        return self.ready(name)[2]

    def secret(self, namespace, name):
        """A Secret's values, as a pod has them mounted."""
        folder = self.data / "secrets" / namespace / name
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def client(self, user="order-service", **overrides):
        """librdkafka settings from nothing but the user's Secret."""
        secret = self.secret("kafka", user)
        settings = {
            "security.protocol": secret["security.protocol"].decode(),
            "sasl.mechanism": secret["sasl.mechanism"].decode(),
            "sasl.username": secret["username"].decode(),
            "sasl.password": secret["password"].decode(),
            "ssl.ca.location": self.data / "secrets" / "kafka" / user / "ca.crt",
        }
        settings.update(overrides)
        return {key: value for key, value in settings.items() if value is not None}

    def bootstrap(self, user="order-service"):
        return self.secret("kafka", user)["bootstrap.servers"].decode()

    def produce(self, topic, records, **options):
        return kcat.produce(self.bootstrap(), topic, records, self.client(), **options)

    def consume(self, topic, **options):
        return kcat.consume(self.bootstrap(), topic, self.client(), **options)
