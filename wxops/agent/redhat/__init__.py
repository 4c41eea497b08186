"""Packages of the RHEL family, driven by dnf and rpm: what is there, what a change would come to, and the way back."""
