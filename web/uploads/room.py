"""Room for an upload, looked for before its first byte is taken."""

from core.errors import StorageFullError
from core.storage import Storage


def check_room(storage: Storage, announced_bytes: int | None, reserve_bytes: int) -> None:
    """Refuse an upload that the storage has no room for.

    Files move into the storage by a rename, so their bytes are needed once.

    Args:
        announced_bytes: the body's length, None where the sender does not tell it.
        reserve_bytes: what is to stay free for the results of what was accepted before.

    Raises:
        StorageFullError: `storage_full`.
    """
    free_bytes = storage.free_bytes()
    if free_bytes is not None and free_bytes < (announced_bytes or 0) + reserve_bytes:
        raise StorageFullError("storage_full", "There is no room left for the upload.")
