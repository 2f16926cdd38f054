"""How the databases are connected to."""

import os
import socket
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.database import POSTGRES_OPTIONS, Database
from losing_proxy import LosingProxy


@pytest.fixture
def postgres_over_tcp(postgres_url):
    proxy = LosingProxy(Path(make_url(postgres_url).query["host"]) / ".s.PGSQL.5432")
    yield make_url(postgres_url).set(host="127.0.0.1", port=proxy.port, query={})
    proxy.close()


def measures(url):
    """What the system was told about a connection, by libpq's names."""
    database = Database(url.render_as_string(hide_password=False))
    with database.engine.connect() as connection:
        descriptor = os.dup(connection.connection.dbapi_connection.fileno())
        with socket.socket(fileno=descriptor) as twin:
            assert twin.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            found = {
                "tcp_user_timeout": twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                "keepalives_idle": twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                "keepalives_interval": twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                "keepalives_count": twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            }
    database.dispose()
    return found


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such measure")
def test_a_postgresql_that_is_lost_without_a_word_is_noticed_soon(postgres_over_tcp):
    found = measures(postgres_over_tcp)
    assert found == {name: POSTGRES_OPTIONS[name] for name in found}
    assert found["tcp_user_timeout"] <= 30_000
    silence_s = found["keepalives_idle"] + found["keepalives_interval"] * found["keepalives_count"]
    assert silence_s <= 30


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such measure")
def test_what_the_address_says_about_the_connection_goes_before(postgres_over_tcp):
    found = measures(postgres_over_tcp.set(query={"keepalives_idle": "77"}))
    assert (found["keepalives_idle"], found["keepalives_interval"]) == (77, POSTGRES_OPTIONS["keepalives_interval"])
