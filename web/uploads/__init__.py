"""Uploads of any size in constant memory.

body.py        the request's body: counted, bounded, and complete or refused
incoming.py    the folder that files are written to while they come in
multipart.py   the parts of a form, each straight to its file
wishes.py      the job's name and options, as query and form tell them
receive.py     a request to a Parcel: the one function that the view calls
"""

from web.uploads.incoming import IncomingFile, IncomingFolder, remove_stale
from web.uploads.receive import ARCHIVE_SUFFIXES, Parcel, receive

__all__ = ["ARCHIVE_SUFFIXES", "IncomingFile", "IncomingFolder", "Parcel", "receive", "remove_stale"]
