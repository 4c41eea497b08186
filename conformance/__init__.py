"""ansible-core's own integration targets, run by ansible-core and by wxops side by side. See __main__.py."""
