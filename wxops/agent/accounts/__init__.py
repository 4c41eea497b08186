"""Users and groups of the host itself, beneath the kinds and modules that change them."""
