"""The command line's side of the HTTP API."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from cli.api import JobView, error_of
from cli.upload import Upload
from core.errors import NotFoundError, OptionsError, TransientError
from core.options import JobOptions

PATIENCE_S = 60.0
RETRY_PAUSE_S = 0.5
POLL_S = (0.2, 5.0)
AWAY_STATUSES = frozenset({502, 503, 504})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Found = TypeVar("Found")


@dataclass(frozen=True)
class Access:
    """Where a stack is, and the key that lets in."""

    address: str
    key: str


class Client:
    """Talks to one stack, and bears with it when it is away for a while.

    Args:
        access: the stack's address and the key.
        when_away: called whenever the stack does not answer; gives its access, in case it came back elsewhere.
    """

    def __init__(self, access: Access, when_away: Callable[[], Access] | None = None) -> None:
        self._when_away = when_away
        self._access = access
        self._http = _connect(access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, upload: Upload, options: JobOptions, on_sent: Callable[[int], None]) -> JobView:
        """Send an upload in constant memory; `on_sent` is told the number of bytes sent so far.

        Only options that differ from the defaults are sent; an older stack need not know the others.
        It waits for a stack that cannot be reached. Once bytes are on their way it is not tried again by itself: the
        server may have taken the upload although the answer got lost.
        """
        headers = {"Content-Type": upload.media_type, "Content-Length": str(upload.size_bytes)}
        query = {"filename": upload.filename, "name": upload.name}
        query |= options.model_dump(mode="json", exclude_defaults=True)

        def send() -> httpx.Response:
            body = _counted(upload.pieces(), on_sent)
            return self._http.post("/api/v1/jobs", params=query, headers=headers, content=body)

        try:
            response = self._patiently(send, httpx.ConnectError, frozenset())
        except httpx.TransportError as error:
            message = f"The connection broke while sending {upload.name}: {error}"
            raise TransientError("upload_interrupted", message) from error
        return JobView.of(_checked(response).json())

    def jobs(self) -> Iterator[JobView]:
        """All jobs, newest first."""
        yield from (JobView.of(raw) for raw in self.pages("/api/v1/jobs?limit=100", "jobs"))

    def job(self, job_id: str) -> JobView:
        """One job."""
        return JobView.of(self._get(f"/api/v1/jobs/{job_id}").json())

    def find_job(self, prefix: str) -> JobView:
        """The job whose id begins so; NotFoundError, or OptionsError (`ambiguous_id`) when several do."""
        if len(prefix) == 32:
            return self.job(prefix)
        return only_match("job", prefix, [(job.id, job) for job in self.jobs()])

    def photos(self, job_id: str, states: tuple[str, ...] = (), warned: bool = False) -> Iterator[dict[str, Any]]:
        """The job's photos in the order of the upload, those in the given states or with a warning only."""
        wanted = "".join(f"&state={state}" for state in states) + ("&warned=true" if warned else "")
        yield from self.pages(f"/api/v1/jobs/{job_id}/photos?limit=500{wanted}", "photos")

    def watch(self, job_id: str, on_change: Callable[[JobView], None]) -> JobView:
        """Poll until the job is over, as often as the server asks for; give its last view."""
        etag = ""
        while True:
            response = self._get(f"/api/v1/jobs/{job_id}", {"If-None-Match": etag} if etag else {})
            if response.status_code != httpx.codes.NOT_MODIFIED:
                job = JobView.of(response.json())
                on_change(job)
                if job.over:
                    return job
            etag = response.headers.get("ETag", etag)
            time.sleep(_pause_s(response))

    def change(self, job_id: str, what: str) -> JobView:
        """Pause, resume or retry a job; StateError when it is in no state for it."""
        return JobView.of(self.send("POST", f"/api/v1/jobs/{job_id}/{what}"))

    def prioritize(self, job_id: str, priority: str) -> JobView:
        """Put a job before or behind others."""
        return JobView.of(self.send("PUT", f"/api/v1/jobs/{job_id}/priority", {"priority": priority}))

    def delete(self, job_id: str) -> JobView:
        """Delete the originals and results of a job that is over; StateError for one that is not."""
        return JobView.of(self.send("DELETE", f"/api/v1/jobs/{job_id}"))

    def events(self, job_id: str, of: str) -> Iterator[dict[str, Any]]:
        """The log of a job, the oldest entries first; of all its photos, or of the `job` alone."""
        yield from self.pages(f"/api/v1/jobs/{job_id}/events?limit=500&of={of}", "events")

    def cancel(self, job_id: str) -> JobView:
        """Stop a job; StateError when it is over."""
        return JobView.of(_checked(self._patiently(lambda: self._http.post(f"/api/v1/jobs/{job_id}/cancel"))).json())

    def cancel_at_once(self, job_id: str) -> None:
        """Stop a job without bearing with a stack that is away."""
        try:
            _checked(self._http.post(f"/api/v1/jobs/{job_id}/cancel", timeout=5.0))
        except httpx.TransportError as error:
            raise TransientError("stack_away", f"{self._access.address} does not answer.") from error

    def get(self, path: str) -> Any:
        """The JSON at an address of the API that has no view of its own here."""
        return self._get(path).json()

    def pages(self, path: str, noun: str) -> Iterator[dict[str, Any]]:
        """What a listing holds under `noun`, page by page."""
        next_path: str | None = path
        while next_path:
            page = self._get(next_path).json()
            yield from page[noun]
            next_path = page["next"]

    def post(self, path: str, content: dict[str, Any]) -> Any:
        """Send JSON and give what is answered. It waits for a stack that cannot be reached, and is sent once."""
        return self.send("POST", path, content)

    def send(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        """As `post`, with any method, and with a body only where there is content."""

        def send() -> httpx.Response:
            return self._http.request(method, path, json=content)

        try:
            return _checked(self._patiently(send, httpx.ConnectError, frozenset())).json()
        except httpx.TransportError as error:
            raise TransientError("stack_away", f"{self._access.address} broke off: {error}") from error

    def download(self, path: str, target: Path, on_got: Callable[[int, int | None], None]) -> None:
        """Write what is at `path` to a file; begins anew when the connection breaks half way."""

        def once() -> httpx.Response:
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    return response
                total = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
                with target.open("wb") as file:
                    for piece in response.iter_bytes(1 << 18):
                        file.write(piece)
                        on_got(file.tell(), total)
                return response

        _checked(self._patiently(once))

    def _get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return _checked(self._patiently(lambda: self._http.get(path, headers=headers)))

    def _patiently(
        self,
        ask: Callable[[], httpx.Response],
        hiccup: type[httpx.TransportError] = httpx.TransportError,
        away: frozenset[int] = AWAY_STATUSES,
    ) -> httpx.Response:
        """Ask until there is an answer, for up to a minute: a stack that restarts is away for a while.

        Args:
            ask: sends the request; called again after a `hiccup` or an answer whose status is one of `away`.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                response = ask()
                if response.status_code not in away or time.monotonic() > deadline:
                    return response
            except hiccup as error:
                if time.monotonic() > deadline:
                    raise TransientError("stack_away", f"{self._access.address} does not answer: {error}") from error
                self._look_again()
            time.sleep(RETRY_PAUSE_S)

    def _look_again(self) -> None:
        if self._when_away is not None:
            access = self._when_away()
            if access != self._access:
                self._access = access
                self._http.close()
                self._http = _connect(access)


def only_match(noun: str, prefix: str, named: Sequence[tuple[str, Found]]) -> Found:
    """The only one whose id begins so.

    Raises:
        NotFoundError: `not_found`.
        OptionsError: `ambiguous_id`, when several do.
    """
    found = [(name, one) for name, one in named if prefix and name.startswith(prefix.lower())]
    if not found:
        raise NotFoundError("not_found", f"There is no {noun} {prefix}.")
    if len(found) > 1:
        ids = ", ".join(name[:12] for name, _ in found[:5])
        raise OptionsError("ambiguous_id", f"{len(found)} {noun}s begin with {prefix}: {ids} ...")
    return found[0][1]


def _connect(access: Access) -> httpx.Client:
    # A proxy of the person's environment is not for this machine itself.
    is_local = (urlsplit(access.address).hostname or "") in LOOPBACK
    return httpx.Client(
        base_url=access.address,
        headers={"Authorization": f"Bearer {access.key}"},
        timeout=httpx.Timeout(120.0, connect=10.0),
        trust_env=not is_local,
    )


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise error_of(response)
    return response


def _pause_s(response: httpx.Response) -> float:
    shortest, longest = POLL_S
    try:
        return min(longest, max(shortest, float(response.headers["Retry-After"])))
    except (KeyError, ValueError):
        return 1.0


def _counted(pieces: Iterator[bytes], on_sent: Callable[[int], None]) -> Iterator[bytes]:
    sent = 0
    for piece in pieces:
        yield piece
        sent += len(piece)
        on_sent(sent)
