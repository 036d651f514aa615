"""The variants of a build: planned, exported, examined, judged and recommended."""
