"""Values that everything speaks of; they import nothing of ours."""
