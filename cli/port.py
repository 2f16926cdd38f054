"""Whether the address that the web server is to have is free, and who has it if not."""

import errno
import socket
from contextlib import suppress
from pathlib import Path

from core.errors import SetupError


def check_port(host: str, port: int) -> None:
    """Raise SetupError (`port_taken`, `port_refused`, `no_such_address`) unless the web server can have the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _explain(error, host, port) from error


def _explain(error: OSError, host: str, port: int) -> SetupError:
    other = port + 1 if port < 65535 else port - 1
    remedy = "Choose another one: GRAY2HUE_PORT={0} make run"
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port) or "another program"
        return SetupError("port_taken", f"Port {port} is taken by {holder}. {remedy.format(other)}")
    if error.errno == errno.EACCES:
        return SetupError("port_refused", f"This user may not listen on port {port}. {remedy.format(8220)}")
    return SetupError("no_such_address", f"GRAY2HUE_HOST={host} is no address of this machine: {error.strerror}.")


def port_holder(port: int) -> str | None:
    """The program that listens on a TCP port, as 'name (process 123)'; None where it cannot be told."""
    sockets = _listening_sockets(port)
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in sockets:
                        return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _listening_sockets(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
