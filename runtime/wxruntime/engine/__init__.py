"""The server in front of a backend: requests, queue, OpenAI's routes, probes and metrics.

Two processes. The one that was started answers HTTP and never imports PyTorch; the other, its child, has the backend
and steps it. So writing an answer takes no time from making it: one interpreter cannot do both at once.
"""
