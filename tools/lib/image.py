"""Writes container images as docker archives: the same input gives the same bytes, without Docker, root or network.

Reads the Dockerfiles under images/, which use only what needs no base image: FROM scratch, COPY, USER, ENV, EXPOSE,
LABEL, WORKDIR, ENTRYPOINT and CMD. Any other builder reads them too.
"""

import hashlib
import io
import json
import os
import shlex
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from tools.lib import ui


@dataclass
class File:
    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass
class Link:
    path: str
    target: str


@dataclass
class Folder:
    path: str
    mode: int = 0o755
    owner: int = 0


def write_archive(target, name, entries, config):
    """Writes `target` with one layer of `entries`; returns the image's id."""
    layer = _layer(entries)
    digest = hashlib.sha256(layer).hexdigest()
    description = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "millrace tools/images"}],
    }, sort_keys=True).encode()
    identity = hashlib.sha256(description).hexdigest()
    manifest = json.dumps([{"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    scratch = Path(f"{target}.new")
    with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in ((f"{identity}.json", description), (f"{digest}/layer.tar", layer), ("manifest.json", manifest)):
            _add(archive, path, content, 0o644)
    scratch.replace(target)
    return f"sha256:{identity}"


def _add(archive, path, content, mode):
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))


def _layer(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folders = {e.path.strip("/"): e for e in entries if isinstance(e, Folder)}
        for entry in entries:  # a parent that nobody mentions is root's and 0755
            parts = entry.path.strip("/").split("/")[:-1]
            for n in range(1, len(parts) + 1):
                folders.setdefault("/".join(parts[:n]), Folder("/".join(parts[:n])))
        for path in sorted(folders):
            info = tarfile.TarInfo(path)
            info.type, info.mode = tarfile.DIRTYPE, folders[path].mode
            info.uid = info.gid = folders[path].owner
            archive.addfile(info)
        for entry in sorted((e for e in entries if not isinstance(e, Folder)), key=lambda e: e.path):
            if isinstance(entry, Link):
                info = tarfile.TarInfo(entry.path.strip("/"))
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
                archive.addfile(info)
            else:
                _add(archive, entry.path.strip("/"), entry.content, entry.mode)
    return buffer.getvalue()


def entries_of(folder, prefix=""):
    """A folder of the disk as entries below `prefix`; owners and times are not taken over."""
    entries = []
    for path in sorted(Path(folder).rglob("*")):
        inside = f"{prefix}/{path.relative_to(folder)}"
        if path.is_symlink():
            entries.append(Link(inside, os.readlink(path)))
        elif path.is_dir():
            entries.append(Folder(inside, stat.S_IMODE(path.stat().st_mode)))
        else:
            entries.append(File(inside, path.read_bytes(), stat.S_IMODE(path.stat().st_mode)))
    return entries


def build(dockerfile, context, target, name):
    """Builds `dockerfile` with the files of `context` into the docker archive `target`; returns the image's id."""
    entries, config = [], {}
    for number, instruction, rest in _instructions(dockerfile):
        where = f"{dockerfile}:{number}"
        if instruction == "FROM":
            if rest != "scratch":
                raise ui.Failure(f"{where}: only FROM scratch needs no network")
        elif instruction == "COPY":
            words = shlex.split(rest)
            if len(words) != 2 or words[0].startswith("--"):
                raise ui.Failure(f"{where}: only COPY <source> <target> is understood")
            entries += _copied(Path(context) / words[0], words[1], where)
        elif instruction in ("ENTRYPOINT", "CMD"):
            config["Entrypoint" if instruction == "ENTRYPOINT" else "Cmd"] = json.loads(rest)
        elif instruction == "USER":
            config["User"] = rest
        elif instruction == "WORKDIR":
            config["WorkingDir"] = rest
        elif instruction == "ENV":
            config.setdefault("Env", []).extend(shlex.split(rest))
        elif instruction == "EXPOSE":
            ports = {p if "/" in p else f"{p}/tcp": {} for p in rest.split()}
            config["ExposedPorts"] = config.get("ExposedPorts", {}) | ports
        elif instruction == "LABEL":
            config["Labels"] = config.get("Labels", {}) | dict(w.split("=", 1) for w in shlex.split(rest))
        else:
            raise ui.Failure(f"{where}: {instruction} is not understood by tools/lib/image.py")
    return write_archive(target, name, entries, config)


def _copied(source, target, where):
    if source.is_dir():
        return entries_of(source, target.rstrip("/"))
    if source.is_file():
        path = target + source.name if target.endswith("/") else target
        return [File(path, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))]
    raise ui.Failure(f"{where}: {source} does not exist")


def _instructions(dockerfile):
    pending, start = "", 0
    for number, line in enumerate(Path(dockerfile).read_text().splitlines(), 1):
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start if pending else number
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        instruction, _, rest = pending.partition(" ")
        yield start, instruction.upper(), rest.strip()
        pending = ""
