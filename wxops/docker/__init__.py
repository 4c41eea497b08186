"""What actions on Docker share on the controller: the SDK's client over the host's own socket, and its vocabulary."""
