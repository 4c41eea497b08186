"""Random playbooks under ansible-core and under wxops, each on a fresh host, and where they differ. See __main__.py."""
