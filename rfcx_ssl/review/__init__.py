"""The correcting loop: what a person should listen to next, as clips and label tables, and their answers as labels."""
