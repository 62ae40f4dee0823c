"""How the schema came to be, one step a file, run by Alembic; a step that was released is never edited."""
