"""Python environments of the host: which packages are in them, and which files those brought."""
