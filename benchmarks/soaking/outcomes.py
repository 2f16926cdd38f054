"""A ledger of committed results that is independent of the program, and forbids nothing.

A key that forbids duplicates would hide them. So a trigger of the database appends a row to a table of its own whenever
a photo becomes `done`, or gets another result while it is.
"""

from collections import Counter

from sqlalchemy import text

from core.database import Database

SQLITE = (
    "CREATE TABLE outcome_ledger (photo_id TEXT, at DOUBLE PRECISION)",
    """CREATE TRIGGER note_outcome AFTER UPDATE ON photos
        WHEN NEW.state = 'done' AND (OLD.state <> 'done' OR OLD.result_key <> NEW.result_key)
        BEGIN INSERT INTO outcome_ledger VALUES (NEW.id, (julianday('now') - 2440587.5) * 86400.0); END""",
)
POSTGRES = (
    "CREATE TABLE outcome_ledger (photo_id TEXT, at DOUBLE PRECISION)",
    """CREATE FUNCTION note_outcome() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO outcome_ledger VALUES (NEW.id, extract(epoch FROM clock_timestamp())); RETURN NULL; END $$""",
    """CREATE TRIGGER note_outcome AFTER UPDATE ON photos FOR EACH ROW
        WHEN (NEW.state = 'done' AND (OLD.state <> 'done' OR OLD.result_key <> NEW.result_key))
        EXECUTE FUNCTION note_outcome()""",
)


class OutcomeLedger:
    """The ledger in a stack's database.

    Args:
        database: migrated; the ledger is made in it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.write() as session:
            for statement in SQLITE if database.is_sqlite else POSTGRES:
                session.execute(text(statement))

    def committed(self) -> Counter[str]:
        """How often each photo got a result committed, by its id."""
        ids = text("SELECT photo_id FROM outcome_ledger")
        return Counter(self._database.look_patiently(lambda session: session.scalars(ids).all()))

    def times(self) -> list[float]:
        """When results were committed, in seconds since 1970, in order."""
        times = text("SELECT at FROM outcome_ledger")
        return sorted(self._database.look_patiently(lambda session: session.scalars(times).all()))
