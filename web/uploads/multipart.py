"""A multipart form whose files go straight to the disk.

werkzeug's own form parser keeps every part's file open until the request ends and its text fields in memory without a
bound on their sum; a dropped folder of thousands of files needs neither. Its decoder beneath is used as it is.
"""

from collections.abc import Callable, Iterator

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from core.errors import InputError, OptionsError
from core.storage import Readable
from web.uploads.incoming import IncomingFolder

PIECE_BYTES = 256 * 1024
MAX_BUFFER_BYTES = 4 * PIECE_BYTES
MAX_FIELD_BYTES = 4096
FILES_PART = "files"


def read_form(
    body: Readable, boundary: str, folder: IncomingFolder, max_parts: int, on_text: Callable[[str, str], None]
) -> None:
    """Write every file of the form into the folder. Names of files are as they were sent, with their folders.

    Args:
        body: the request's.
        boundary: as the request's header gives it.
        folder: for the files.
        max_parts: that the form may have.
        on_text: told name and content of each text part as it comes; what it raises ends the reading.

    Raises:
        InputError: `broken_form`, `too_many_parts`, and what the body raises.
        OptionsError: `unexpected_file`, for a file in a part that is not called "files".
    """
    events = _events(body, boundary, max_parts)
    try:
        for event in events:
            if isinstance(event, File):
                if event.name != FILES_PART:
                    raise OptionsError("unexpected_file", f"Files belong in parts called {FILES_PART!r}.")
                _write_file(event.filename, events, folder)
            elif isinstance(event, Field):
                on_text(event.name, _text(events))
    except RequestEntityTooLarge as error:
        raise InputError("too_many_parts", f"A form may have {max_parts:,} parts at most.") from error
    except ValueError as error:
        raise InputError("broken_form", "The form is broken or ends too early.") from error


def _events(body: Readable, boundary: str, max_parts: int) -> Iterator[Event]:
    try:
        mark = boundary.encode("ascii")
    except UnicodeEncodeError as error:
        raise InputError("broken_form", "The form's boundary is no plain text.") from error
    decoder = MultipartDecoder(mark, max_form_memory_size=MAX_BUFFER_BYTES, max_parts=max_parts)
    while True:
        decoder.receive_data(body.read(PIECE_BYTES) or None)
        event = decoder.next_event()
        while not isinstance(event, NeedData):
            if isinstance(event, Epilogue):
                return
            yield event
            event = decoder.next_event()


def _write_file(name: str, events: Iterator[Event], folder: IncomingFolder) -> None:
    # A form whose file input was left empty sends a part without a name and without a byte.
    pieces = _pieces(events)
    first = next(pieces, b"")
    if name or first:
        folder.write(name, _chain(first, pieces))
    else:
        for _ in pieces:
            pass


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _pieces(events: Iterator[Event]) -> Iterator[bytes]:
    for event in events:
        if isinstance(event, Data):
            if event.data:
                yield event.data
            if not event.more_data:
                return


def _text(events: Iterator[Event]) -> str:
    text = b""
    for piece in _pieces(events):
        text = (text + piece)[:MAX_FIELD_BYTES]
    return text.decode("utf-8", "replace")
