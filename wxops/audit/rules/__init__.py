"""The rules, a file an area; a `Rule` in a file here is a rule, there is no registry."""
