"""One control plane and one proxy for all tests of this folder; a namespace and an operator for each."""

import itertools
import shutil

import pytest

from e2e.control_plane.plane import Plane
from e2e.control_plane.proxy import Proxy
from e2e.control_plane.world import World
from e2e.localkube import gobuild


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    if not shutil.which("etcd") or "kubernetes" in gobuild.missing():
        pytest.skip("etcd or Kubernetes is not on this machine: ./dev test builds it where it can run")
    plane = Plane(tmp_path_factory.mktemp("plane"))
    yield plane
    plane.close()


@pytest.fixture(scope="session")
def proxy(plane):
    proxy = Proxy(plane)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def worlds(plane, proxy, tmp_path_factory):
    """worlds() makes one; use it as a context manager."""
    folder = tmp_path_factory.mktemp("worlds")
    numbers = itertools.count(1)
    return lambda **options: World(plane, proxy, folder / str(next(numbers)), **options)


@pytest.fixture
def world(worlds):
    with worlds() as one:
        yield one


@pytest.fixture
def took(record_property):
    """Notes a measured figure."""
    def note(what, value):
        record_property(what, round(value, 2) if isinstance(value, float) else value)
        print(f"\n    {what}: {value:.2f}" if isinstance(value, float) else f"\n    {what}: {value}", flush=True)
    return note


