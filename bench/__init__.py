"""Ratios against named peers or goals, measured in one run: `python -m bench [name…]`.

Absolute figures belong to the machine that measured them; what travels are the ratios and the CPU time.
"""
