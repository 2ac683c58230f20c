"""The policies of a data folder: which are in force, how others come into force, and decisions."""
