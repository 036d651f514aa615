"""One reader per file format: what an exported file holds, read from the file itself.

Each has ``read(data)``, which gives `edgekit.pipeline.readers.facts.FileFacts` of the bytes of a file, and raises a
`ValueError` where it is none, or holds what `edgekit.runtime.contents` refuses.
"""
