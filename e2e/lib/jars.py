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


def folder(pom=POM):
    return paths.cache_dir() / "jars" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]


def ensure(pom=POM):
    """The folder with the jars of a pom; fetches them if this machine has not got them yet."""
    target = folder(pom)
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
                ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={scratch}",
                 "-DincludeScope=runtime"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
            if result.returncode != 0:
                raise RuntimeError(f"fetching the jars of {pom} failed:\n" + (result.stdout + result.stderr)[-2000:])
            lock = pom.with_suffix(".sha256")
            if lock.exists() and (unknown := set(checksums(scratch)) - set(lock.read_text().splitlines())):
                raise RuntimeError(f"{len(unknown)} jars are not those of {lock}: {sorted(unknown)[:5]}")
            scratch.chmod(0o755)
            os.replace(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def checksums(directory):
    """Of its jars, a line each as sha256sum prints them: what a `.sha256` beside a pom has."""
    return [f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}" for jar in sorted(directory.glob("*.jar"))]


def class_path(poms):
    return ":".join(f"{ensure(pom)}/*" for pom in poms)


def compiled(source, poms=(POM,)):
    """The folder with the classes of a Java file; compiled once per machine."""
    key = hashlib.sha256(source.read_bytes() + class_path(poms).encode()).hexdigest()[:16]
    target = paths.cache_dir() / "classes" / f"{source.stem}-{key}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        result = subprocess.run(["javac", "-nowarn", "-proc:none", "-cp", class_path(poms), "-d", scratch, source],
                                capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            shutil.rmtree(scratch)
            raise AssertionError(f"{source}:\n{result.stdout}{result.stderr}")
        try:
            os.replace(scratch, target)
        except OSError:  # another run was faster
            shutil.rmtree(scratch)
    return target


def java(main_class, *arguments, heap="256m", options=(), source=None, poms=(POM,)):
    """The command line that runs a class of the jars, or of the Java file `source`. -Xshare and one compiler tier: most tools live
    for a second only."""
    classes = f"{compiled(source, poms)}:" if source else ""
    return ["java", f"-Xmx{heap}", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={LOGGING}", *options, "-cp", f"{classes}{class_path(poms)}", main_class, *map(str, arguments)]
