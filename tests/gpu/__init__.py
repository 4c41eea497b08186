"""Hosts with GPUs for the tests: NVIDIA's library simulated at its C ABI, everything above it real."""
