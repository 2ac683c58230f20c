"""Error intelligence, pure: which errors are the same, of which category, and what to do about it.

`record` is what came in, `signature` what of it decides (stored once, however often the error
occurs), `fingerprints` and `classify` what is computed from signatures, by versions and by rules.
Nothing here reads or writes anything but the rule files.
"""
