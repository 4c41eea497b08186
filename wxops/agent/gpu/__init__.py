"""All that an audit reads on a host, as the record of wxops/audit/record.py in JSON. Each area has a file.

Nothing here changes the host. gathering.py puts the parts together.
"""
