"""What clients reach: pages of ours, and the way into the journey on Twisted's own server."""
