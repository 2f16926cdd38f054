"""Reading archives that strangers send, and writing the archives they get back.

    members.py        limits, one member, what a member's path may be
    streams.py        bounded decompression, and a member's bytes under its limits
    zip_directory.py  the list of a ZIP's entries, read from its end
    zip_reader.py     the walk over a ZIP
    tar_headers.py    one TAR entry from its header blocks
    tar_sparse.py     where the bytes of a sparse TAR member belong
    tar_reader.py     the walk over a TAR, plain or compressed
    kinds.py          what an archive is, by its content, and the one `walk` over all of them
    results.py        result paths that never collide, and the streamed result ZIP
    manifests.py      manifest.csv and manifest.jsonl

The containers are parsed here and not by `zipfile` and `tarfile`: those hold a whole directory in memory, give up on
the archive for one bad entry, decompress without a bound (bz2, lzma) and recurse over chained headers. Both serve as
independent judges in the tests.
"""

from core.archives.kinds import ArchiveKind, archive_kind, walk
from core.archives.manifests import MANIFEST_FIELDS, ManifestRow, manifest_csv, manifest_jsonl
from core.archives.members import ArchiveLimits, Member, is_system_file
from core.archives.results import ResultEntry, path_key, stream_zip, taken_keys, unique_result_path

__all__ = [
    "MANIFEST_FIELDS",
    "ArchiveKind",
    "ArchiveLimits",
    "ManifestRow",
    "Member",
    "ResultEntry",
    "archive_kind",
    "is_system_file",
    "manifest_csv",
    "manifest_jsonl",
    "path_key",
    "stream_zip",
    "taken_keys",
    "unique_result_path",
    "walk",
]
