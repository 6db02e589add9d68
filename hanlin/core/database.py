"""The one door to SQLite or PostgreSQL: where and which tables in, an open database out. Each room declares its own.

SQLite is a file of this machine, for one server and many threads; PostgreSQL is for many servers. Tables are made where
they are missing; whoever changes one gives it another name.
"""

from pathlib import Path

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from hanlin.core.errors import ConfigError, StoreError, shown

BUSY_MS = 10_000
"""How long a writer waits for another one."""
LOCK = 0x68616E6C696E
"""Who makes tables in PostgreSQL holds it: "hanlin"."""


def connect(where: str | Path, tables: MetaData) -> Engine:
    """Open a database and make the tables that it lacks.

    Args:
        where: a file, made if it is not there, ":memory:", or a postgresql:// URL.

    Raises:
        ConfigError: the URL is none, or the driver for it is not installed.
        StoreError: it cannot be opened.
    """
    text = str(where)
    try:
        engine = _postgres(text) if "://" in text else _sqlite(text)
        _make(engine, tables)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        place = make_url(text).render_as_string(hide_password=True) if "://" in text else text
        fix = "check the file's folder and your rights to it, or the server and its password"
        raise StoreError(f"the database {place} cannot be opened: {reason}", fix) from None
    return engine


def _make(engine: Engine, tables: MetaData) -> None:
    """Make the tables that are missing, one server after another: two would both find that there is none."""
    alone = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else f"SELECT pg_advisory_xact_lock({LOCK})"
    with engine.connect() as connection:
        connection.exec_driver_sql(alone)
        tables.create_all(connection)
        connection.commit()


def _sqlite(path: str) -> Engine:
    if path != ":memory:":
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be made: {error.strerror}", "choose another place") from None
    in_memory = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}  # one database for all threads
    engine = create_engine(f"sqlite:///{path}", **(in_memory if path == ":memory:" else {}))

    @event.listens_for(engine, "connect")
    def tune(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # pyright: ignore[reportAttributeAccessIssue]
        for line in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {line}")
        cursor.close()

    return engine


def _postgres(text: str) -> Engine:
    try:
        url = make_url(text)
        if not url.drivername.startswith("postgres"):
            raise ArgumentError
    except ArgumentError:
        raise ConfigError(f"{shown(text)} is no database", "give a file, or postgresql://user@host/name") from None
    try:
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except (NoSuchModuleError, ImportError):
        raise ConfigError("PostgreSQL needs a driver", 'pip install "hanlin[postgres]"') from None
