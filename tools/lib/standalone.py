"""The quickstart without Kubernetes: `millrace-operator standalone` as a background process of this user."""

import json
import os
import signal
import subprocess
import time

from e2e.localkube import host
from tools.lib import deploy, paths, ui

PROGRAM = paths.BUILD / "bin" / "millrace-operator"
RESOURCES = deploy.QUICKSTART
READY_SECONDS = 30


def _folder():
    return paths.state_dir() / "standalone"


def data_dir():
    return _folder() / "data"


def log():
    return paths.log_dir() / "standalone.log"


def running_pid():
    try:
        stored = json.loads((_folder() / "process.json").read_text())
    except (OSError, ValueError):
        return None
    return stored["pid"] if host.is_alive(stored) else None


def start():
    """Starts it unless it runs; returns True if it was started."""
    if running_pid():
        return False
    data_dir().mkdir(parents=True, exist_ok=True)
    # The brokers beside the operator are found by name through PATH.
    env = dict(os.environ, PATH=f"{PROGRAM.parent}:{os.environ['PATH']}")
    with open(log(), "w") as file:
        process = subprocess.Popen([PROGRAM, "standalone", "--resources", RESOURCES, "--data", data_dir()], env=env, cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    (_folder() / "process.json").write_text(json.dumps(host.identity(process.pid)))
    time.sleep(0.3)
    if process.poll() is not None:
        raise ui.Failure(f"millrace-operator standalone ended at once (exit code {process.returncode})", log=log(),
                         tail=ui.tail_of(log()))
    return True


def stop():
    pid = running_pid()
    if not pid:
        return
    with ui.step("Standalone") as step:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 15
        while host.start_time(pid) is not None:
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)  # its session is its own: the brokers that it started go too
            time.sleep(0.05)
        step.note = "stopped"


def up(steps=ui):
    """Starts it and waits until the quickstart is Ready; returns the quickstart."""
    quickstart = deploy.Quickstart()
    with steps.step("Quickstart") as step:
        started = start()
        step.note = "waiting for Ready"
        _await_ready(quickstart.ours())
        step.note = f"{len(quickstart.ours())} resources Ready" + ("" if started else ", already running")
    return quickstart


def _await_ready(documents):
    deadline = time.monotonic() + READY_SECONDS
    while waiting := [d for d in documents if not _is_ready(d)]:
        if not running_pid():
            raise ui.Failure("millrace-operator standalone ended", log=log(), tail=ui.tail_of(log()), todo="./dev up --standalone")
        if time.monotonic() > deadline:
            document = waiting[0]
            tail = [f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}" for c in _conditions(document)]
            raise ui.Failure(f"{document['kind']} {document['metadata']['name']} does not become Ready", log=log(), tail=tail,
                             todo="./dev logs standalone")
        time.sleep(0.02)


def _is_ready(document):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(document))


def _conditions(document):
    """Of the object as the operator keeps it; empty while there is none."""
    name = f"{deploy.namespace_of(document)}_{document['metadata']['name']}.json"
    try:
        kept = json.loads((data_dir() / "objects" / document["kind"] / name).read_text())
    except (OSError, ValueError):
        return []
    return json.loads(kept["object"]).get("status", {}).get("conditions", [])


def read_secret(namespace, name):
    """A Secret's values, which are files here."""
    return {file.name: file.read_bytes() for file in (data_dir() / "secrets" / namespace / name).iterdir()}


def remove_status_files():
    """What the operator wrote beside the resources."""
    for file in RESOURCES.glob("*.status"):
        file.unlink()
