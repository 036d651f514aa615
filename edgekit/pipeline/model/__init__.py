"""The float source model of a build: prepared, scored and asked for its answers."""
