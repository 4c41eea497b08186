"""What a host says of itself, under Ansible's names. Each area has a file, collectors.py lists them."""
