"""How views lie on the disk: generations, checkpoints, dead letters, indexes, stores."""
