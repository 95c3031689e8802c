"""Two small inference engines that need no model: for a first look at Olla, and for its tests."""
