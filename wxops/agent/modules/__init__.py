"""The modules: one typed function a file, named as the file. A file here is a module; there is no registry."""
