"""Stores that a second process writes while a rebuild goes on.

Folding is Python, and Python uses one core. Nearly half of it is stores that need nothing but the
changes of each page. A rebuild of everything gives them to a process of their own, which writes a
file of its own; in the end the other tables are copied into that.
"""
