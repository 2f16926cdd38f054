"""Files that came in, to the storage; and what is to be done when the record of them cannot be committed."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from core.errors import Gray2HueError
from core.storage import Storage
from web.uploads.incoming import IncomingFile

STORING_THREADS = 16

log = logging.getLogger(__name__)


@contextmanager
def storing(
    storage: Storage,
    keys: Sequence[str],
    files: Sequence[IncomingFile],
    is_committed: Callable[[], bool],
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hand the files to the storage, then run the block, which commits the record of them.

    If either fails, nothing is left of the files, unless the record may have been committed all the same: bytes without
    a record cost room, a record without bytes is broken.

    Args:
        keys: one for each file.
        is_committed: asked after a failure.
        on_progress: called with every file that is stored.
    """
    try:
        # Several at a time: each waits for the disk, and a dropped folder has thousands of them.
        with ThreadPoolExecutor(STORING_THREADS) as pool:
            for _ in pool.map(storage.put_file, keys, (file.path for file in files)):
                on_progress()
        yield
    except Exception:
        discard(storage, keys, is_committed)
        raise


def discard(storage: Storage, keys: Sequence[str], is_committed: Callable[[], bool]) -> None:
    """After a failure, delete what is stored under the keys, unless the record of it may be committed all the same."""
    try:
        # A commit whose answer got lost may have happened.
        committed = is_committed()
    except SQLAlchemyError:
        return
    if not committed:
        delete_objects(storage, keys)


def delete_objects(storage: Storage, keys: Iterable[str]) -> None:
    """Delete what is stored under the keys; what the storage fails to delete is noted in the log and stays."""
    for key in keys:
        try:
            storage.delete(key)
        except Gray2HueError as error:
            log.warning("%s is left in the storage: %s", key, error.message)
            return
