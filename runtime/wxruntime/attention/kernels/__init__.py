"""Triton kernels, one idea a file. Triton comes with PyTorch's CUDA build; TRITON_INTERPRET=1 runs them on a CPU."""
