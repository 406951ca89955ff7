"""Layouts of what a check found. Nothing here decides anything.

terminal   the report for people; ladder, excerpt and diff are its parts
json_v1    the report for programs, with types and a schema of its own
diagnosis  what access logs say, for people; diagnosis_v1 for programs
"""
