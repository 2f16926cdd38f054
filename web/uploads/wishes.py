"""What the sender wishes for the job: its name, options and priority, from the query and then from the form."""

from collections.abc import Mapping

from core.errors import OptionsError
from core.options import OPTION_NAMES, parse_options
from core.records import User
from web.priorities import NORMAL, priority_for

NAME = "name"
FILE_NAME = "filename"
PRIORITY = "priority"
PARAMETERS = (FILE_NAME, NAME, PRIORITY, *OPTION_NAMES)


class Wishes:
    """Wishes as they come in; what a form says goes before what the query says.

    Args:
        query: the request's parameters.
        sender: whose wishes they are.

    Raises:
        OptionsError: `bad_option`; `bad_parameter` for a parameter that there is not, so that a misspelt option is told
            before an archive is sent with the wrong ones.
        AuthenticationError: `admin_only`, for a priority that this person may not give.
    """

    def __init__(self, query: Mapping[str, str], sender: User) -> None:
        if unknown := [name for name in query if name not in PARAMETERS]:
            known = ", ".join(PARAMETERS)
            raise OptionsError("bad_parameter", f"There is no parameter {unknown[0]!r} here, only: {known}.")
        self._sender = sender
        self.name = query.get(NAME)
        self.file_name = query.get(FILE_NAME, "")
        self.priority = priority_for(sender, query.get(PRIORITY) or NORMAL)
        self._options = {name: query[name] for name in OPTION_NAMES if name in query}
        self.options = parse_options(self._options)

    def take(self, name: str, text: str) -> None:
        """Note a text part of a form. One that is no wish is read over, since browsers send fields of their own.

        Raises:
            As the constructor.
        """
        if name == NAME:
            self.name = text or self.name
        elif name == PRIORITY:
            self.priority = priority_for(self._sender, text or NORMAL)
        elif name in OPTION_NAMES:
            self._options[name] = text
            self.options = parse_options(self._options)
