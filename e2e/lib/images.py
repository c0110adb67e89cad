"""Images for pods that act as users of the cluster: kcat, and a JVM with Apache's clients and tools. No registry is asked."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

from e2e.lib import jars
from e2e.localkube import images as localkube_images
from tools.lib import image, paths

KCAT = "millrace-test/kcat:1"
JAVA = "millrace-test/java:1"  # JAVA_CLASSPATH names Apache's jars; main classes are in e2e/lib/kafka.py


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


def java_archive():
    """The machine's Java with Apache Kafka's jars in /jars, and a shell. Big (about 250 MB): load it only where it is used."""
    home = Path(os.path.realpath(shutil.which("java"))).parents[1]
    jar_folder = jars.ensure()
    key = hashlib.sha256(f"{(home / 'release').read_text()}{jar_folder.name}".encode()).hexdigest()[:12]
    target = _folder() / f"java-{key}.tar"
    if not target.exists():
        scratch = _folder() / f"java-{os.getpid()}"
        subprocess.run([paths.ROOT / "tools" / "rootfs", home / "bin" / "java", scratch], check=True)
        (scratch / "usr" / "bin" / "java").unlink()
        for library in sorted((home / "lib").rglob("*.so")):
            for word in subprocess.run(["ldd", library], capture_output=True, text=True).stdout.split():
                if word.startswith("/") and not word.startswith(str(home)) and os.path.exists(word):
                    copy = scratch / word.lstrip("/")
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(word, copy)
        entries = image.entries_of(scratch) + _shell() + _tree(home, "/java") + _tree(jar_folder, "/jars")
        image.write_archive(target, JAVA, entries, {"Env": ["PATH=/java/bin:/bin", "JAVA_CLASSPATH=/jars/*"],
                                                    "User": "65532:65532", "Entrypoint": ["/java/bin/java"]})
        shutil.rmtree(scratch)
    return target


def _tree(folder, prefix):
    """Like image.entries_of, but links are followed: Debian's Java keeps its configuration in /etc."""
    entries = []
    for path, folders, files in os.walk(folder, followlinks=True):
        inside = prefix + path.removeprefix(str(folder))
        folders[:] = [f for f in folders if f not in ("man", "jmods", "docs", "legal", "include")]
        entries.append(image.Folder(inside, 0o755))
        for name in files:
            source = Path(path, name)
            if source.exists() and name != "src.zip":
                mode = stat.S_IMODE(source.stat().st_mode) | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
                entries.append(image.File(f"{inside}/{name}", source.read_bytes(), mode))
    return entries
