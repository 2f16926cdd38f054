"""Answers that are more than a page: JSON with an ETag, and stored objects of any size with ranges."""

import hashlib
import unicodedata
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.http import dump_options_header
from werkzeug.wsgi import FileWrapper

from core.storage import Storage

PIECE_BYTES = 256 * 1024
IMAGE_MEDIA_TYPES = frozenset(
    {
        "image/avif",
        "image/bmp",
        "image/heic",
        "image/jp2",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
    }
)
REVALIDATED = "private, no-cache"
KEPT = "private, max-age=31536000, immutable"


def tagged_json(content: Any) -> Response:
    """JSON with a strong ETag of its bytes, or 304 when the client has just these."""
    response = jsonify(content)
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest())
    response.headers["Cache-Control"] = REVALIDATED
    response.make_conditional(request)
    return response


def content_disposition(name: str) -> str:
    """An attachment under a name in any script (RFC 6266, RFC 8187), with a plain one for old clients."""
    clean = "".join("_" if unicodedata.category(char) in ("Cc", "Cs") else char for char in name.rpartition("/")[2])
    plain = unicodedata.normalize("NFKD", clean).encode("ascii", "ignore").decode("ascii")
    value = dump_options_header("attachment", {"filename": plain or "download"})
    return value if plain == clean else f"{value}; filename*=UTF-8''{quote(clean, safe='')}"


def stored_object(storage: Storage, key: str, media_type: str, name: str, caching: str) -> ResponseReturnValue:
    """What is stored under the key, or the ranges of it that are asked for, in constant memory.

    What is no image we know is sent as plain bytes, so that no browser ever runs it. The key is the object's identity,
    since what is stored under one never changes: its hash makes the ETag.

    Raises:
        NotFoundError: `object_missing`.
    """
    if address := storage.url(key):
        return redirect(address)
    size_bytes = storage.size(key)
    stream = storage.open(key)
    response = Response(FileWrapper(stream, PIECE_BYTES), direct_passthrough=True)
    response.call_on_close(stream.close)
    response.content_type = media_type if media_type in IMAGE_MEDIA_TYPES else "application/octet-stream"
    response.content_length = size_bytes
    response.headers["Content-Disposition"] = content_disposition(name)
    response.headers["Cache-Control"] = caching
    response.set_etag(hashlib.sha256(key.encode()).hexdigest())
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=size_bytes)
    except HTTPException:
        response.close()
        raise
    return response
