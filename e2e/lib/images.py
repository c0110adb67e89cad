"""Images for pods that act as users of the cluster: kcat, and a Java program with Kafka's client. No registry is asked."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from e2e.lib import jars
from e2e.localkube import images as localkube_images
from tools.lib import image, paths

KCAT = "millrace-test/kcat:1"
JAVA = "millrace-test/java:1"
JAVA_MODULES = ("java.base", "java.logging", "java.management", "java.naming", "java.security.jgss", "java.security.sasl", "jdk.crypto.ec")
JAVA_LIBRARIES = ("kafka-clients", "slf4j-api")


def _folder():
    path = paths.cache_dir() / "images"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _shell():
    """busybox as a shell, so that a pod can run a line of script."""
    binary = localkube_images.BUSYBOX.read_bytes()
    names = ("sh", "cat", "sleep", "seq", "head", "tail", "grep", "wc", "date", "ls", "test", "sort", "cmp", "sha256sum", "env")
    return [image.File("/bin/busybox", binary, 0o755), *[image.Link(f"/bin/{n}", "busybox") for n in names]]


def kcat_archive():
    """kcat with the libraries that it loads, and a shell."""
    program = Path(shutil.which("kcat"))
    target = _folder() / f"kcat-{hashlib.sha256(program.read_bytes()).hexdigest()[:12]}.tar"
    if not target.exists():
        scratch = _folder() / f"kcat-{os.getpid()}"
        subprocess.run([paths.ROOT / "tools" / "rootfs", program, scratch], check=True)
        image.write_archive(target, KCAT, [*image.entries_of(scratch), *_shell()],
                            {"Env": ["PATH=/usr/bin:/bin"], "User": "65532:65532", "Entrypoint": ["/usr/bin/kcat"]})
        shutil.rmtree(scratch)
    return target


def java_archive(source):
    """A program of one Java file with Kafka's client library, on a Java of just the modules that it uses (60 MiB)."""
    home = Path(os.path.realpath(shutil.which("java"))).parents[1]
    classes, libraries = jars.compiled(source), sorted(f for n in JAVA_LIBRARIES for f in jars.ensure().glob(f"{n}-[0-9]*.jar"))
    key = hashlib.sha256(f"{(home / 'release').read_text()}{jars.ensure().name}{classes.name}".encode()).hexdigest()[:12]
    target = _folder() / f"java-{key}.tar"
    if not target.exists():
        scratch = _folder() / f"java-{os.getpid()}"
        _java_of(JAVA_MODULES, home, scratch)
        entries = [*image.entries_of(scratch), *image.entries_of(classes, "/app"), image.Folder("/tmp", 0o777),
                   *[image.File(f"/app/{f.name}", f.read_bytes()) for f in libraries]]
        image.write_archive(target, JAVA, entries, {
            "Env": ["PATH=/java/bin"], "User": "65532:65532",
            "Entrypoint": ["/java/bin/java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "/app:/app/*", source.stem]})
        shutil.rmtree(scratch)
    return target


def _java_of(modules, home, target):
    """A Java with some modules only below target/java, and the machine's libraries that it loads."""
    subprocess.run([home / "bin" / "jlink", "--add-modules", ",".join(modules), "--strip-java-debug-attributes", "--no-header-files",
                    "--no-man-pages", "--output", target / "java"], check=True, capture_output=True)
    for binary in [target / "java" / "bin" / "java", *(target / "java" / "lib").rglob("*.so")]:
        subprocess.run(["strip", "--strip-unneeded", binary], check=True)
        libraries = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
        for word in libraries.split():
            copy = target / word.lstrip("/")
            if word.startswith("/") and not word.startswith(str(target)) and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, copy)
