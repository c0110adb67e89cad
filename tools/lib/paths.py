"""Where everything lives. State and caches are per machine, never in the tree."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "dev"


def _xdg(variable, fallback):
    value = os.environ.get(variable)
    return Path(value) if value else Path.home() / fallback


def cache_dir():
    """Things that can be made again: Go binaries, Kafka's jars."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "millrace"


def state_dir():
    """Things of a running cluster. Short, because Unix socket paths below it must stay under 108 bytes."""
    if "MILLRACE_STATE" in os.environ:
        return Path(os.environ["MILLRACE_STATE"])
    if os.geteuid() == 0:
        return Path("/var/lib/millrace")
    return _xdg("XDG_STATE_HOME", ".local/state") / "millrace"


def log_dir():
    path = state_dir() / "log"
    path.mkdir(parents=True, exist_ok=True)
    return path
