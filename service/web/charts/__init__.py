"""Charts, drawn here as SVG: they need no script, weigh little, and can be read aloud.

Geometry is in Python; colours and line styles are classes of the style sheet, so that a chart
follows the theme. See docs/adr/013-charts-on-the-server.md.
"""
