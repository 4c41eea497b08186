"""Archives read from front to back, member by member: tar, compressed in the usual ways, and zip."""
