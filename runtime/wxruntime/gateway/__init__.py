"""The gateway in front of the engines: who may ask, where a request goes, and what happens when something breaks."""
