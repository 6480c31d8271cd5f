"""``scipy.spatial`` of values that are being differentiated: distances, and rotations."""
