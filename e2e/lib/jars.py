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


def compiled(source):
    """The folder with the classes of a Java file; compiled once per machine."""
    key = hashlib.sha256(source.read_bytes() + ensure().name.encode()).hexdigest()[:16]
    target = paths.cache_dir() / "classes" / f"{source.stem}-{key}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        result = subprocess.run(["javac", "-nowarn", "-proc:none", "-cp", f"{ensure()}/*", "-d", scratch, source],
                                capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            shutil.rmtree(scratch)
            raise AssertionError(f"{source}:\n{result.stdout}{result.stderr}")
        try:
            os.replace(scratch, target)
        except OSError:  # another run was faster
            shutil.rmtree(scratch)
    return target


def java(main_class, *arguments, heap="256m", options=()):
    """The command line that runs a class of the jars. -Xshare and one compiler tier: most tools live for a second only."""
    return ["java", f"-Xmx{heap}", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={LOGGING}", *options, "-cp", f"{ensure()}/*", main_class, *map(str, arguments)]
