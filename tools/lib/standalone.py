"""The quickstart without Kubernetes: `millrace-operator standalone` as a background process of this user."""

import json
import os
import signal
import subprocess
import time

from e2e.localkube import host
from tools.lib import paths, ui

PROGRAM = paths.BUILD / "bin" / "millrace-operator"
RESOURCES = paths.ROOT / "examples" / "quickstart"


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


def up(began):
    """The end of `./dev up` where there is no Kubernetes."""
    with ui.step("Standalone") as step:
        step.note = "started" if start() else "already running"
    ui.title(f"Millrace runs standalone ({ui.duration(time.monotonic() - began)})")
    ui.say(f"  Resources    {RESOURCES}  (edit them; changes are reconciled at once)")
    ui.say(f"  Data         {data_dir()}")
    ui.say(f"  Log          {log()}")
    ui.title("Try next")
    ui.say("  ./dev status   ./dev logs standalone -f   ./dev down")
    ui.say()
