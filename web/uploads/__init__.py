"""Uploads of any size in constant memory.

body.py        the request's body: counted, bounded, and complete or refused
incoming.py    the folder that files are written to while they come in
multipart.py   the parts of a form, each straight to its file
wishes.py      the job's name, options and priority, as query and form tell them
receive.py     a request to a Parcel of files
receiving.py   the job's row while its bytes come in
room.py        whether there is room for them
storing.py     the files to the storage: all of them durable, or none left
"""

from web.uploads.incoming import IncomingFile, IncomingFolder, remove_stale
from web.uploads.receive import ARCHIVE_SUFFIXES, Parcel, provisional_name, receive, receive_files
from web.uploads.receiving import Arrival, Reception, receiving
from web.uploads.room import check_room
from web.uploads.storing import delete_objects, discard, storing
from web.uploads.wishes import FILE_NAME, Wishes

__all__ = [
    "ARCHIVE_SUFFIXES",
    "FILE_NAME",
    "Arrival",
    "IncomingFile",
    "IncomingFolder",
    "Parcel",
    "Reception",
    "Wishes",
    "check_room",
    "delete_objects",
    "discard",
    "provisional_name",
    "receive",
    "receive_files",
    "receiving",
    "remove_stale",
    "storing",
]
