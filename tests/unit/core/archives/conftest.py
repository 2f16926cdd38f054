"""What the archive tests share: limits, and a walk that notes what became of every member."""

import io
from collections.abc import Callable

import pytest

from core.archives import ArchiveLimits, walk
from core.errors import ArchiveError, MemberError

Outcome = tuple[str, bytes | str]


@pytest.fixture
def limits() -> ArchiveLimits:
    return ArchiveLimits(
        max_entries=1000, max_total_bytes=2**26, max_entry_bytes=2**25, max_entry_ratio=1000, max_path_depth=8
    )


@pytest.fixture
def outcomes(limits) -> Callable[..., list[Outcome]]:
    """Return a function that walks an archive and returns each member's path with its bytes or its error's code.

    An error of the whole archive comes last, its path being "".
    """

    def collect(archive: bytes, name: str = "photos.zip", limits: ArchiveLimits = limits) -> list[Outcome]:
        found: list[Outcome] = []
        try:
            for member in walk(io.BytesIO(archive), name, limits):
                assert member.index == len(found)
                try:
                    with member.open() as stream:
                        found.append((member.path, stream.read()))
                except MemberError as error:
                    found.append((member.path, error.code))
        except ArchiveError as error:
            found.append(("", error.code))
        return found

    return collect
