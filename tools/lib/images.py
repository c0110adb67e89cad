"""Builds the broker's and the operator's images, only when what goes into them has changed."""

import hashlib
import subprocess

from tools.lib import image, paths, ui

NAMES = ("broker", "operator")
MAX_BYTES = 25 << 20
FOLDER = paths.BUILD / "images"


def archive(name):
    return FOLDER / f"{name}.tar"


def tag(name):
    return f"millrace/{name}:dev"


def build(names=NAMES, steps=ui):
    """Writes build/dev/images/<name>.tar for each; returns the archives."""
    archives = []
    for name in names:
        with steps.step(f"Image: {name}") as step:
            step.note = _build(name)
            archives.append(archive(name))
    return archives


def _build(name):
    program = paths.BUILD / "bin" / f"millrace-{name}"
    if not program.exists():
        raise ui.Failure(f"{program} is not built", todo="./dev build")
    target, stamp = archive(name), FOLDER / f"{name}.stamp"
    key = _key(program, paths.ROOT / "images" / name / "Dockerfile")
    if target.exists() and stamp.exists() and stamp.read_text() == key:
        return f"{tag(name)}, {_mib(target.stat().st_size)}, unchanged"
    context = FOLDER / name
    ui.run([paths.ROOT / "tools" / "rootfs", program, context / "rootfs"], log=FOLDER / f"{name}.log",
           what=f"collecting the files of the {name} image")
    image.build(paths.ROOT / "images" / name / "Dockerfile", context, target, tag(name))
    size = target.stat().st_size
    if size > MAX_BYTES:
        target.unlink()
        raise ui.Failure(f"the {name} image has {_mib(size)}; at most {_mib(MAX_BYTES)} are allowed",
                         todo=f"see what it collects: du -a {context}/rootfs | sort -n | tail")
    stamp.write_text(key)
    return f"{tag(name)}, {_mib(size)}"


def _key(program, dockerfile):
    digest = hashlib.sha256(program.read_bytes() + dockerfile.read_bytes())
    digest.update((paths.ROOT / "tools" / "rootfs").read_bytes() + (paths.ROOT / "tools" / "lib" / "image.py").read_bytes())
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for word in sorted({w for w in libraries.split() if w.startswith("/")}):
        with open(word, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _mib(size):
    return f"{size / (1 << 20):.1f} MiB"
