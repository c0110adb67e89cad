"""Fixtures: the brokers that other people's clients talk to. `secured` is ours, and in the long form Apache Kafka too."""

import shutil

import pytest

from e2e.clients import install
from e2e.clients.brokers import Secured
from e2e.conftest import FULL


@pytest.fixture(scope="session", params=["millrace", *(["kafka"] if FULL else [])])
def secured(request, millrace_broker_program, tmp_path_factory):
    """A broker with users, one for the whole run: use topic and group names of your own."""
    folder = tmp_path_factory.mktemp(request.param)
    running = Secured(folder, request.param)
    try:
        yield running.start(install.python(), install.HERE / "python" / "add_users.py")
    finally:
        running.stop()
        shutil.rmtree(folder / "data", ignore_errors=True)
