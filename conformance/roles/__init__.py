"""Public roles in common use, unmodified, run by ansible-core and by wxops on the same fresh host. See __main__.py."""
