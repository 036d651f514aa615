"""The report's figures and tables: rows as charts with their words, and the same numbers as a table."""
