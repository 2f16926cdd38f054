"""gunicorn's settings, derived from ours.

One process with threads: a thread waits on a socket or a disk nearly all of its time, and the bound on failed sign-ins
counts in one place. More web machines are more containers.
"""

from core.settings import Settings

settings = Settings()

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = 1
worker_class = "gthread"
threads = settings.web_threads
keepalive = 15
graceful_timeout = 30
# A sign that the whole process hangs; a long upload in one thread is none.
timeout = 120
# Paths of files may be long, and in other scripts each letter takes up to nine characters of an address.
limit_request_line = 8190
# Who is behind a proxy is decided in one place, by `trusted_proxies`.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True
# No log of requests: it would keep the tokens of one-time links. A proxy in front may write one.
accesslog = None
