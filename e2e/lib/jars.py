"""Apache Kafka's jars, fetched once per machine through Maven into the cache folder."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.lib import paths

POM = Path(__file__).resolve().parents[1] / "jars" / "pom.xml"
LOGGING = Path(__file__).resolve().parents[1] / "jars" / "log4j2.properties"


def folder():
    return paths.cache_dir() / "jars" / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


def ensure():
    """The folder with the jars; fetches them if this machine has not got them yet."""
    target = folder()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want them at once
        if target.exists():
            return target
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            result = subprocess.run(
                ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={scratch}",
                 "-DincludeScope=runtime"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
            if result.returncode != 0:
                raise RuntimeError("fetching Apache Kafka's jars failed:\n" + (result.stdout + result.stderr)[-2000:])
            scratch.chmod(0o755)
            os.replace(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def java(main_class, *arguments, heap="256m", options=()):
    """The command line that runs a class of the jars. -Xshare and one compiler tier: most tools live for a second only."""
    return ["java", f"-Xmx{heap}", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={LOGGING}", *options, "-cp", f"{ensure()}/*", main_class, *map(str, arguments)]
