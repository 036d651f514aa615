"""What a build starts from: a project or a model file, and its data."""
