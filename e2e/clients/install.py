"""Other people's clients, fetched from their registries once per machine and verified by what is pinned here.

`python -m e2e.clients.install` fetches all of them. Each lives in a cache folder whose name is the hash of its lock files.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from e2e.lib import jars
from e2e.localkube import gobuild
from tools.lib import paths, ui

HERE = Path(__file__).resolve().parent
PYTHON_LOCK = HERE / "python" / "requirements.txt"
KAFKAJS_FILES = [HERE / "kafkajs" / name for name in ("package.json", "package-lock.json", "with_kafkajs.js")]
SARAMA = HERE / "sarama"
FRANZ_GO = HERE / "franz-go"
LIBRDKAFKA = HERE / "librdkafka"
PIPELINE = paths.ROOT / "examples" / "order-pipeline"
PIPELINE_LOCK = HERE / "order-pipeline.sha256"
TESTS_POM, CONNECT_POM, FLINK_POM = (HERE / "jars" / f"{name}.xml" for name in ("tests", "connect", "flink"))


def python():
    """The interpreter of a venv with kafka-python, aiokafka and confluent-kafka."""
    def make(folder):
        run("/usr/bin/python3", "-m", "venv", folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary", ":all:", "--require-hashes", "-r", PYTHON_LOCK)
    return cached("python", [PYTHON_LOCK], make) / "bin" / "python"


def kafkajs():
    """The program that uses kafkajs, beside its node_modules."""
    def make(folder):
        for file in KAFKAJS_FILES:
            shutil.copy(file, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    return cached("kafkajs", KAFKAJS_FILES, make) / "with_kafkajs.js"


def sarama():
    """The program that uses sarama."""
    sources = sorted(SARAMA.glob("*.go")) + [SARAMA / "go.mod", SARAMA / "go.sum"]

    def make(folder):
        go("build", "-o", folder / "with_sarama", ".", cwd=SARAMA)
    return cached("sarama", sources, make) / "with_sarama"


def franz_go():
    """franz-go's own tests as one program; nothing of it is copied here, its module is compiled as it comes."""
    def make(folder):
        go("test", "-c", "-o", folder / "kgo.test", "github.com/twmb/franz-go/pkg/kgo", cwd=FRANZ_GO)
    return cached("franz-go", [FRANZ_GO / "go.mod", FRANZ_GO / "go.sum"], make) / "kgo.test"


def librdkafka():
    """librdkafka's own tests: the folder with test-runner, lib/ (the library that they test) and java/ (programs that some start)."""
    sources = LIBRDKAFKA / "sources.txt"

    def make(folder):
        work = folder / "work"
        work.mkdir()
        for line in sources.read_text().splitlines():
            debian(*line.split(), work)
        run("dpkg-deb", "-x", *work.glob("rapidjson-dev_*"), work / "rapidjson")  # only headers, of the tests
        run("tar", "-xzf", *work.glob("*.orig.tar.gz"), "--strip-components=1", cwd=work)
        include = f"-isystem {work / 'rapidjson' / 'usr' / 'include'}"
        run("./configure", "--disable-gssapi", "--disable-curl", "--disable-lz4-ext", f"--CXXFLAGS={include}", cwd=work)
        for target in (["libs"], ["-C", "tests", "build"]):
            run("nice", "-n", "5", "make", f"-j{os.cpu_count()}", *target, cwd=work)
        (folder / "lib").mkdir()
        for library in (work / "src" / "librdkafka.so.1", work / "src-cpp" / "librdkafka++.so.1"):
            shutil.copy(library, folder / "lib")
        shutil.copy(work / "tests" / "test-runner", folder)
        shutil.copy(work / "src" / "statistics_schema.json", folder)
        shutil.copytree(work / "tests" / "java", folder / "java")
        run("javac", "-nowarn", "-proc:none", "-cp", f"{jars.ensure()}/*", *(folder / "java").glob("*.java"))
        shutil.rmtree(work)
    return cached("librdkafka", [sources], make)


def order_pipeline():
    """Maven's repository with all that examples/order-pipeline needs, for builds without a network."""
    def make(folder):
        fetch_jars(folder / "repository")
        if unknown := set(jars_of(folder / "repository")) - set(PIPELINE_LOCK.read_text().splitlines()):
            raise ui.Failure(f"{len(unknown)} jars are not those of {PIPELINE_LOCK.name}", tail=sorted(unknown)[:12],
                             todo="if a version was raised on purpose: e2e/clients/README.md")
    return cached("order-pipeline", [*sorted(PIPELINE.rglob("pom.xml")), PIPELINE_LOCK], make) / "repository"


def lock_order_pipeline():
    """Writes down which jars Maven takes now."""
    with tempfile.TemporaryDirectory() as scratch:
        fetch_jars(Path(scratch))
        PIPELINE_LOCK.write_text("\n".join(jars_of(Path(scratch))) + "\n")


def fetch_jars(repository):
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        copy_pipeline(project)
        # A test must run: the runner of the tests is looked for only then.
        run(*maven(repository), "--strict-checksums", "verify", "-Dtest=LastMinuteTest", "-Dsurefire.failIfNoSpecifiedTests=false",
            cwd=project)


def jars_of(repository):
    return [f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.relative_to(repository)}" for jar in sorted(repository.rglob("*.jar"))]


def copy_pipeline(target):
    shutil.copytree(PIPELINE, target, ignore=shutil.ignore_patterns("target", "data"))


def maven(repository):
    return ["mvn", "-B", "-q", f"-Dmaven.repo.local={repository}"]


def apache_jars():
    for pom in POMS:
        jars.ensure(pom)
    return jars.folder()


fetched = []  # by this process
POMS = (jars.POM, TESTS_POM, CONNECT_POM, FLINK_POM)
THINGS = {"jars": apache_jars, "python": python, "kafkajs": kafkajs, "sarama": sarama, "franz-go": franz_go,
          "librdkafka": librdkafka, "order-pipeline": order_pipeline}


def ensure():
    """Fetches what is missing; the names of what was."""
    for thing in THINGS.values():
        thing()
    return fetched


def cached(name, sources, make):
    """The folder that `make` filled, which is made only if this machine has not got it for these sources."""
    key = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    root = paths.cache_dir() / "clients"
    folder, complete = root / f"{name}-{key}", root / f"{name}-{key}.complete"
    if complete.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want it at once
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with ui.step(f"client: {name}") as step:
                make(folder)  # in its place: a venv cannot be moved
                step.note = "fetched, cached for next time"
            complete.touch()
            fetched.append(name)
    return folder


def debian(checksum, name, folder):
    """Fetches a file of Debian's archive from the mirror of this machine: it lies beside the package that apt-get knows."""
    package = {"librdkafka": "librdkafka-dev"}.get(name.split("_")[0], name.split("_")[0])
    known = run("apt-get", "download", "--print-uris", "-q", package).stdout
    run("curl", "-sSfL", "--retry", "3", "-o", folder / name, re.search(r"'(.*/)", known)[1] + name.replace("+", "%2b"))
    if hashlib.sha256((folder / name).read_bytes()).hexdigest() != checksum:
        raise ui.Failure(f"{name} is not what {LIBRDKAFKA / 'sources.txt'} pins", todo="look at where it came from")


def run(*argv, cwd=None, env=None):
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600)
    if done.returncode != 0:
        raise ui.Failure(f"{Path(argv[0]).name} {argv[1]} failed", tail=(done.stdout + done.stderr).splitlines()[-12:],
                         todo="check the network path to PyPI, npm, Maven Central, the Go module proxy and Debian's mirror; then run it again")
    return done


def go(*arguments, cwd):
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly", GOTOOLCHAIN="local")
    run("nice", "-n", "5", gobuild.find_go(), *arguments, cwd=cwd, env=env)


if __name__ == "__main__":
    for thing in sys.argv[1:] or THINGS:
        print(THINGS[thing]())
