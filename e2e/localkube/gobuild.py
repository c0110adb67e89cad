"""Builds Kubernetes and its companions from the pinned Go modules in modules/, once per machine.

The binaries are cached outside the tree, keyed by what pins them; the key is the hash of all go.mod and go.sum files.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.lib import paths, ui

MODULES = Path(__file__).resolve().parent / "modules"
KUBERNETES_VERSION = "v1.34.4"
# In the order of their build: the longest first, so that a failure there shows early.
PROGRAMS = {
    "kubernetes": ["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"],
    "coredns": ["coredns"],
    "helm": ["helm"],
    "local-path-provisioner": ["local-path-provisioner"],
}
PACKAGES = {"kubernetes": 1530, "coredns": 1010, "helm": 860, "local-path-provisioner": 620}  # only for the progress shown


def cache_key():
    digest = hashlib.sha256()
    for name in sorted(PROGRAMS):
        for file in ("go.mod", "go.sum"):
            digest.update((MODULES / name / file).read_bytes())
    return digest.hexdigest()[:16]


def bin_dir():
    return paths.cache_dir() / "localkube" / cache_key() / "bin"


def missing():
    """The modules that have to be built."""
    have = bin_dir()
    return [m for m, programs in PROGRAMS.items() if not all((have / p).exists() for p in programs)]


def ensure(steps=ui):
    """Builds what is missing; returns the folder of the binaries."""
    target = bin_dir()
    todo = missing()
    if not todo:
        return target
    _check_room()
    go = find_go(steps)
    target.mkdir(parents=True, exist_ok=True)
    for module in todo:
        _build(go, module, target, steps)
    _drop_old_caches()
    return target


def _build(go, module, target, steps):
    flags = "-s -w"
    if module == "kubernetes":
        major, minor = KUBERNETES_VERSION.lstrip("v").split(".")[:2]
        version = "k8s.io/component-base/version"
        flags += f" -X {version}.gitVersion={KUBERNETES_VERSION} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="", GOTOOLCHAIN="local")
    with steps.step(f"Go: {module}") as step, tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        seen = 0

        def on_line(line):
            nonlocal seen
            if line.startswith("go: downloading"):
                step.note = line.removeprefix("go: ")
            elif re.fullmatch(r"[\w./-]+", line):  # -v prints each package that it compiles
                seen += 1
                step.note = f"{min(99, 100 * seen // PACKAGES[module])} %, building {line}"

        ui.run(["nice", "-n", "5", go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", scratch + "/", "tool"],
               log=paths.log_dir() / f"go-{module}.log", what=f"building {module}", cwd=MODULES / module, env=env,
               on_line=on_line, todo="without a network path to the Go module proxy, set GOPROXY; then run it again")
        for program in PROGRAMS[module]:
            os.replace(Path(scratch) / program, target / program)  # atomic: a cut-off build leaves no half binary
        step.note = "built, cached for next time"


def find_go(steps=ui):
    """A Go new enough: the one on PATH, else the toolchain pinned in modules/toolchain, downloaded once by the old one."""
    candidates = [shutil.which("go"), "/usr/local/go/bin/go", "/usr/bin/go"]
    found = [go for go in candidates if go and os.access(go, os.X_OK)]
    for go in found:
        if _go_version(go) >= minimum_go():
            return go
    pinned = _pinned_version()
    cached = paths.cache_dir() / f"go-{pinned}"
    if not (cached / "bin" / "go").exists():
        if not found:
            raise ui.Failure("no Go toolchain found", todo="apt-get install golang-go (it fetches the pinned newer one)")
        with steps.step(f"Go toolchain {pinned}") as step:
            _fetch_toolchain(found[0], cached)
            step.note = "checksum verified"
    return str(cached / "bin" / "go")


def minimum_go():
    """The newest Go that any of the modules asks for."""
    texts = [(MODULES / name / "go.mod").read_text() for name in PROGRAMS]
    return max(tuple(map(int, re.search(r"^go (\d+)\.(\d+)", text, re.M).groups())) for text in texts)


def _go_version(go):
    out = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/",
                         env=dict(os.environ, GOTOOLCHAIN="local")).stdout
    match = re.match(r"go(\d+)\.(\d+)", out)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _pinned_version():
    text = (MODULES / "toolchain" / "go.mod").read_text()
    return re.search(r"golang\.org/toolchain v0\.0\.1-go([\d.]+)\.linux-amd64", text)[1]


def _fetch_toolchain(go, target):
    # go.sum pins the archive, so even a Go of 2022 verifies it; only unpacking is left to us, because that Go does not
    # know toolchain modules: they come without execute permission and with their go.mod files renamed.
    env = dict(os.environ, GOFLAGS="")
    env.pop("GOROOT", None)
    out = subprocess.run([go, "mod", "download", "-json"], cwd=MODULES / "toolchain", env=env, capture_output=True, text=True)
    if out.returncode != 0:
        raise ui.Failure("downloading the pinned Go toolchain failed", tail=(out.stdout + out.stderr).splitlines()[-8:],
                         todo="check the network path to the Go module proxy (GOPROXY)")
    source = Path(json.loads(out.stdout)["Dir"])
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    shutil.copytree(source, scratch / "go", copy_function=shutil.copyfile)
    for folder, _, files in os.walk(scratch / "go"):
        os.chmod(folder, 0o755)
        for file in files:
            path = Path(folder, file)
            if file == "_go.mod":
                path.rename(path.with_name("go.mod"))
            elif folder.endswith("/bin") or "/pkg/tool/" in folder:
                path.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    (scratch / "go").rename(target)
    scratch.rmdir()


def _check_room():
    root = paths.cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < 6 << 30:
        raise ui.Failure(f"building Kubernetes needs 6 GiB of disk; {root} has {free / (1 << 30):.1f} GiB free",
                         todo="free some space, or point XDG_CACHE_HOME and GOPATH at another disk")


def _drop_old_caches():
    current = bin_dir().parent
    for other in current.parent.iterdir():
        if other.is_dir() and other != current:
            shutil.rmtree(other, ignore_errors=True)
