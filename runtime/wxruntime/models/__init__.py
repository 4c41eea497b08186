"""Models as directories: what they hold, whether it is still that, made smaller, and how good they are."""
