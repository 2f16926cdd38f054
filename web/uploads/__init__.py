"""Uploads of any size in constant memory.

body.py        the request's body: counted, bounded, and complete or refused
incoming.py    the folder that files are written to while they come in
multipart.py   the parts of a form, each straight to its file
wishes.py      the job's name and options, as query and form tell them
receive.py     a request to a Parcel of files
storing.py     the files to the storage: all of them durable, or none left
"""

from web.uploads.incoming import IncomingFile, IncomingFolder, remove_stale
from web.uploads.receive import ARCHIVE_SUFFIXES, Parcel, receive, receive_files
from web.uploads.storing import delete_objects, discard, storing
from web.uploads.wishes import FILE_NAME

__all__ = [
    "ARCHIVE_SUFFIXES",
    "FILE_NAME",
    "IncomingFile",
    "IncomingFolder",
    "Parcel",
    "delete_objects",
    "discard",
    "receive",
    "receive_files",
    "remove_stale",
    "storing",
]
