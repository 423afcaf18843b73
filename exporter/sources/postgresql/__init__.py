"""PostgreSQL as a Source, through psycopg 3 and COPY."""
