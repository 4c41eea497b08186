"""`make bench-fleet`: how wall time, processor time and memory of wxops and its peers grow from 10 hosts to 500."""
