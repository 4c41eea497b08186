"""wxops: bare-metal GPU hosts to a served ERNIE 4.5, and back."""

__version__ = "0.1.0"
