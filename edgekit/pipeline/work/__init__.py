"""How a build works: stages in worker processes, through a cache that knows what was read."""
