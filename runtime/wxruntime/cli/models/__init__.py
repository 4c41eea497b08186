"""The subcommands of `wxops model`: they parse, call one function of wxruntime.models, and show."""
