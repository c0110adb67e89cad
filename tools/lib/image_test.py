"""The image builder: what it writes, and that the same input gives the same bytes."""

import io
import json
import tarfile

import pytest

from tools.lib import image, ui


@pytest.fixture
def context(tmp_path):
    program = tmp_path / "rootfs" / "usr" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    (tmp_path / "rootfs" / "usr" / "bin" / "alias").symlink_to("program")
    (tmp_path / "rootfs" / "tmp").mkdir()
    (tmp_path / "rootfs" / "tmp").chmod(0o1777)
    (tmp_path / "Dockerfile").write_text(
        "# comment\nFROM scratch\nCOPY rootfs /\nUSER 65532:65532\nEXPOSE 9092 \\\n  9404/tcp\nLABEL a=b\n"
        'ENTRYPOINT ["/usr/bin/program"]\n')
    return tmp_path


def read(archive):
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        config = json.load(outer.extractfile(manifest["Config"]))
        layer = tarfile.open(fileobj=io.BytesIO(outer.extractfile(manifest["Layers"][0]).read()))
        return manifest, config, {m.name: m for m in layer.getmembers()}


def test_an_archive_holds_what_the_dockerfile_says(context):
    image.build(context / "Dockerfile", context, context / "a.tar", "millrace/x:dev")
    manifest, config, files = read(context / "a.tar")
    assert manifest["RepoTags"] == ["millrace/x:dev"]
    assert config["config"] == {"User": "65532:65532", "Entrypoint": ["/usr/bin/program"], "Labels": {"a": "b"},
                                "ExposedPorts": {"9092/tcp": {}, "9404/tcp": {}}}
    assert files["usr/bin/program"].mode == 0o755
    assert files["usr/bin/alias"].linkname == "program"
    assert files["tmp"].mode == 0o1777


def test_files_belong_to_root_and_have_no_time(context):
    image.build(context / "Dockerfile", context, context / "a.tar", "millrace/x:dev")
    assert {(m.uid, m.gid, m.mtime) for m in read(context / "a.tar")[2].values()} == {(0, 0, 0)}


def test_the_same_input_gives_the_same_bytes(context):
    first = image.build(context / "Dockerfile", context, context / "a.tar", "millrace/x:dev")
    (context / "rootfs" / "usr" / "bin" / "program").touch()  # a new time is no new content
    second = image.build(context / "Dockerfile", context, context / "b.tar", "millrace/x:dev")
    assert first == second
    assert (context / "a.tar").read_bytes() == (context / "b.tar").read_bytes()


@pytest.mark.parametrize("line", ["FROM debian:12", "RUN make", "COPY --from=x a b", "COPY missing /"])
def test_what_it_cannot_build_is_refused_with_the_line(context, line):
    (context / "Dockerfile").write_text(f"FROM scratch\n{line}\n")
    with pytest.raises(ui.Failure, match=r"Dockerfile:2: "):
        image.build(context / "Dockerfile", context, context / "a.tar", "millrace/x:dev")
