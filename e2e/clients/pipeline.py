"""examples/order-pipeline as processes: each service a JVM of its own, or all of them in one."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

from e2e.clients import install
from e2e.lib.process import Process, free_ports, wait_until
from tools.lib import ui

SERVICES = ("order", "payment", "enrichment", "inventory", "analytics")
JVM = ["-Xmx192m", "-XX:+UseSerialGC", "-Xshare:auto"]
SHORT_LIVED = ["-XX:TieredStopAtLevel=1"]  # for seconds only: no time to compile well


def build(folder, broker, tests=True, seconds=300):
    """`mvn verify` without a network, in a copy. Returns the jar, unpacked: a third less to do for a JVM that starts."""
    install.copy_pipeline(folder)
    command = [*install.maven(install.order_pipeline()), "--offline", "verify", *([] if tests else ["-DskipTests"])]
    done = subprocess.run([str(a) for a in command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                          env=dict(os.environ, MILLRACE_BROKER=str(broker), MAVEN_OPTS="-Xmx256m -XX:TieredStopAtLevel=1"))
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise ui.Failure("examples/order-pipeline does not build", tail=output.splitlines()[-60:])
    jar = folder / "services" / "target" / "order-pipeline.jar"
    subprocess.run(["java", *SHORT_LIVED, "-Djarmode=tools", "-jar", jar, "extract", "--destination", folder / "unpacked"], check=True,
                   capture_output=True, timeout=60)
    return folder / "unpacked" / jar.name


def orders(prefix, numbers, currency="EUR"):
    return [{"orderId": f"{prefix}{n}", "customer": "ann", "sku": f"sku-{n % 50}", "quantity": 1, "amountCents": 1999, "currency": currency}
            for n in numbers]


class Service:
    """A JVM with the profiles `profiles`. Ready when its health says so."""

    def __init__(self, jar, folder, profiles, options=(), jvm=(), env=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.process = Process(
            ["java", *JVM, *jvm, "-jar", jar, f"--spring.profiles.active={','.join(profiles)}", f"--server.port={self.port}",
             f"--pipeline.data={self.folder}", "--spring.main.banner-mode=off", "--logging.level.root=warn", *options],
            log=self.folder / "service.log", env=dict(os.environ, **(env or {})), cwd=self.folder)

    def get(self, path, seconds=5):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=seconds) as answer:
            return answer.read().decode()

    def is_up(self):
        assert self.process.returncode is None, self.process.tail(40)
        try:
            return json.loads(self.get("/actuator/health"))["status"] == "UP"
        except OSError:
            return False

    def metric(self, name):
        """The sum of a metric over its labels."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/actuator/prometheus").splitlines()
                   if line.split("{")[0].split(" ")[0] == name)

    def post(self, path, body, seconds=60):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status

    def stop(self):
        self.process.stop(30)


class Pipeline:
    """All services, each on its own. `settings(name)`: the arguments, JVM options and environment of one of them."""

    def __init__(self, jar, folder, settings, profiles=()):
        self.services = {}
        self._start = lambda name: Service(jar, Path(folder) / name, [name, *profiles], *settings(name))

    def __enter__(self):
        try:
            self.services.update((name, self._start(name)) for name in SERVICES)
            for name, service in self.services.items():
                wait_until(service.is_up, 300, f"the service {name}", 0.5)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __getitem__(self, name):
        return self.services[name]

    def __exit__(self, *_):
        for service in self.services.values():
            service.process.kill()
