"""SQLite as a Source, through apsw alone: two SQLite libraries on one file drop each other's locks."""
