"""Stands between a program and its PostgreSQL, and loses what the server answers to a commit."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

BUFFER_BYTES = 1 << 16


class LosingProxy:
    """A TCP address that leads to a PostgreSQL's socket.

    Args:
        server: the socket's path.
    """

    def __init__(self, server: Path) -> None:
        self.lost = 0
        self._server = server
        self._to_lose = 0
        self._every_other = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_answers(self, count: int = 1) -> None:
        """Let so many commits reach the server, and cut the connection before their answers come back."""
        self._to_lose = count

    def lose_every_other_answer(self) -> None:
        """Lose the answer to the next commit, let the one after that through, and so on."""
        self._every_other, self._to_lose = True, 1

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(BUFFER_BYTES):
                commits = b"COMMIT" in data
                loses = commits and self._to_lose > 0
                if commits:
                    self._to_lose = 1 - self._to_lose if self._every_other else max(0, self._to_lose - 1)
                if loses:
                    self.lost += 1
                    # Nothing the server says from now on reaches the client.
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
                if loses:
                    break
        # The server works off what it was sent, and then sees the end.
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with server, suppress(OSError):
            while data := server.recv(BUFFER_BYTES):
                with suppress(OSError):
                    client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
