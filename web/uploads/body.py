"""The body of an upload, read once, in pieces."""

from collections.abc import Callable

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from core.errors import InputError


class Body:
    """A request's body: never longer than allowed, never shorter than announced.

    Args:
        request: whose body nothing has read from yet.
        max_bytes: how long the body may be; counted, since a chunked one announces nothing.
        on_progress: called with every piece; what it raises ends the reading.
    """

    def __init__(self, request: Request, max_bytes: int, on_progress: Callable[[], None]) -> None:
        self._on_progress = on_progress
        self._announced_bytes = request.content_length
        self._max_bytes = max_bytes
        if self._announced_bytes is not None and self._announced_bytes > max_bytes:
            raise self._too_large()
        # werkzeug counts what is read. One byte more, since it refuses to look for the end of a body that just fits.
        request.max_content_length = max_bytes + 1
        self._stream = request.stream
        self.read_bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end.

        Raises:
            InputError: `upload_too_large`, or `incomplete_upload` when the sender broke off.
        """
        try:
            piece = self._stream.read(size)
        except RequestEntityTooLarge as error:
            raise self._too_large() from error
        except (ClientDisconnected, OSError, ValueError) as error:
            raise self._incomplete() from error
        self.read_bytes += len(piece)
        self._on_progress()
        if not piece and self.read_bytes < (self._announced_bytes or 0):
            raise self._incomplete()
        return piece

    def _too_large(self) -> InputError:
        return InputError("upload_too_large", f"An upload may have {self._max_bytes:,} bytes at most.")

    def _incomplete(self) -> InputError:
        return InputError("incomplete_upload", "The upload broke off before its end.")
