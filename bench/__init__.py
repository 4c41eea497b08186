"""`make bench`: wxops and its peers do the same work on the same hosts in one run, and a table says what it took."""
