"""Layouts of what a check found. Nothing here decides anything.

terminal   the report for people; ladder, excerpt and diff are its parts
json_v1    the report for programs, with types and a schema of its own
"""
