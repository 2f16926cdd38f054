import os
import socket

import pytest

from cli.port import check_port, port_holder
from core.errors import SetupError


@pytest.fixture
def taken_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_free_port_is_let_pass():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check_port("127.0.0.1", port)


def test_a_taken_port_is_told_with_its_holder_and_the_way_out(taken_port):
    with pytest.raises(SetupError) as refusal:
        check_port("127.0.0.1", taken_port)
    assert refusal.value.code == "port_taken"
    assert f"(process {os.getpid()})" in refusal.value.message
    assert f"GRAY2HUE_PORT={taken_port + 1} make run" in refusal.value.message


def test_an_address_of_another_machine_is_told():
    with pytest.raises(SetupError) as refusal:
        check_port("192.0.2.1", 8220)
    assert refusal.value.code == "no_such_address"


def test_nobody_holds_a_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert port_holder(probe.getsockname()[1]) is None
