"""Running an `.sql` file inside the transaction that is open."""

import sqlite3
from importlib import resources


def run_script(connection: sqlite3.Connection, package: str, file: str) -> None:
    """Run a file statement by statement: `executescript` would commit the open transaction."""
    statement = ""
    for line in (
        resources.files(package).joinpath(file).read_text("utf-8").splitlines(keepends=True)
    ):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
