"""ERNIE 4.5 dense over a paged cache: the decode step is one CUDA graph whose state lives on the device.

The host launches a step before it has read the one before, and touches a sequence only when it comes, grows by a page
or goes. That makes the small model several times faster than a loop which prepares every step on the host.
"""
