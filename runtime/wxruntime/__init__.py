"""wxruntime: serves an ERNIE 4.5 checkpoint from a directory over OpenAI's HTTP API."""
