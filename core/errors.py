"""The error tree. Every error carries a stable `code` for programs and a `message` for people.

Gray2HueError
├── InputError            the sender's fault; never retried
│   ├── ImageError        a file that is no readable, accepted image, or goes past a limit
│   ├── ArchiveError      an archive that cannot be read as a whole, or goes past a limit
│   ├── MemberError       one entry of an archive that is refused
│   ├── OptionsError      a job option or a request parameter out of its range
│   ├── AuthenticationError   no valid session, key, password or one-time link
│   ├── NotFoundError     no such thing, or none that this person may see
│   ├── StateError        the thing exists, but its state does not allow what was asked
│   └── LimitError        it would be more than one person may have at a time
├── TransientError        a part is away or busy; the same call may succeed later
│   ├── StorageError      the storage cannot be read or written
│   │   └── StorageFullError   there is no room left
│   └── QueueError        the broker cannot be reached
├── TrainingError         a training run cannot go on
│   └── TrainingStoppedError   somebody wished it to stop; it can be continued (both in core.training.watching)
├── CheckpointError       weights or their metadata are missing, damaged or of another architecture
└── SetupError            this machine lacks something; the message says what to do about it
"""


class Gray2HueError(Exception):
    """Base of every error of ours.

    Args:
        code: stable, machine-readable, snake_case.
        message: one sentence for a person; names the file or thing concerned.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["Gray2HueError"], tuple[str, str]]:
        return type(self), (self.code, self.message)


class InputError(Gray2HueError):
    """The sender's fault; never retried."""


class ImageError(InputError):
    """A file that is no readable, accepted image, or goes past a limit."""


class ArchiveError(InputError):
    """An archive that cannot be read as a whole, or goes past a limit."""


class MemberError(InputError):
    """One entry of an archive that is refused; its neighbors are not."""


class OptionsError(InputError):
    """A job option or a request parameter out of its range."""


class AuthenticationError(InputError):
    """No valid session, key, password or one-time link."""


class NotFoundError(InputError):
    """No such thing, or none that this person may see."""


class StateError(InputError):
    """The thing exists, but its state does not allow what was asked."""


class LimitError(InputError):
    """It would be more than one person may have at a time."""


class TransientError(Gray2HueError):
    """A part is away or busy; the same call may succeed later."""


class StorageError(TransientError):
    """The storage cannot be read or written."""


class StorageFullError(StorageError):
    """There is no room left in the storage."""


class QueueError(TransientError):
    """The broker cannot be reached."""


class CheckpointError(Gray2HueError):
    """Weights or their metadata are missing, damaged or of another architecture."""


class SetupError(Gray2HueError):
    """This machine lacks something; the message says what to do about it."""
