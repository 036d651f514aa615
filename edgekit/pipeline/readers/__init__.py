"""One reader per file format: what an exported file holds, read from the file itself."""
