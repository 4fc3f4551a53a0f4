"""The door to the database: tables, engine, unit of work, one file of queries per noun."""
