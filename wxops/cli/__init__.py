"""The doors: click commands, one file a group. They parse, call one function, show."""
