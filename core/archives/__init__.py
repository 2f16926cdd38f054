"""Reading archives that strangers send, and writing the archives they get back.

members.py     limits, one member, what a member's path may be
reading.py     a member's bytes, counted while they are read
zip_reader.py  the walk over a ZIP
packing.py     what a TAR is packed in
tar_reader.py  the walk over a TAR, plain or packed
kinds.py       what an archive is, by its content, and the one `walk` over all of them
results.py     result paths that never collide, and the streamed result ZIP
manifests.py   manifest.csv and manifest.jsonl
"""

from core.archives.kinds import ArchiveKind, archive_kind, walk
from core.archives.manifests import (
    MANIFEST_FIELDS,
    NO_RESULT,
    ORIGINAL_FIELDS,
    ManifestRow,
    ManifestValue,
    manifest_csv,
    manifest_jsonl,
)
from core.archives.members import ArchiveLimits, Member, is_system_file
from core.archives.results import ResultEntry, path_key, stream_zip, taken_keys, unique_result_path

__all__ = [
    "MANIFEST_FIELDS",
    "NO_RESULT",
    "ORIGINAL_FIELDS",
    "ArchiveKind",
    "ArchiveLimits",
    "ManifestRow",
    "ManifestValue",
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
