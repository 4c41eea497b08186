"""What runs on a host. Standard library only, Python 3.7 and later; imports nothing outside itself."""
