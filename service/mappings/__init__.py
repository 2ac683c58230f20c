"""The mapping rules of a data folder: which are in force, and how others come into force."""
