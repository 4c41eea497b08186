"""Debian's packages, driven by apt-get and dpkg: what is there, what a change would come to, and the way back."""
