"""What to do: inventory, plays, variables, templating, vault. Opens files, touches no host."""
