"""The two images that the cluster itself needs, written directly as docker archives: no registry can be reached here."""

from pathlib import Path

from e2e.localkube import layout
from tools.lib import image, ui

PAUSE_SOURCE = Path(__file__).resolve().parent / "pause.c"
BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static


def make():
    """Writes <root>/images/{pause,busybox}.tar; returns their paths."""
    folder = layout.root() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    pause, busybox = folder / "pause.tar", folder / "busybox.tar"
    if not pause.exists():
        program = folder / "pause"
        ui.run(["gcc", "-static", "-Os", "-Wall", "-Werror", "-o", program, PAUSE_SOURCE], log=folder / "pause.log",
               what="compiling the pause container")
        image.write_archive(pause, "localkube/pause:1", [image.File("/pause", program.read_bytes(), 0o755)],
                            {"Entrypoint": ["/pause"], "User": "65535:65535"})
    if not busybox.exists():
        applets = ui.output([BUSYBOX, "--list"]).split()
        files = [image.File("/bin/busybox", BUSYBOX.read_bytes(), 0o755), image.Folder("/tmp", 0o1777)]
        files += [image.Link(f"/bin/{name}", "busybox") for name in applets if name != "busybox"]
        image.write_archive(busybox, "localkube/busybox:1", files, {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]})
    return [pause, busybox]
