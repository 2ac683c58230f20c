"""The views, a folder each: schema, store, and the question that it answers."""
