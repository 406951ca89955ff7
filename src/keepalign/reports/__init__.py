"""Layouts of what a check found. Nothing here decides anything.

terminal   the report for people; ladder, excerpt and diff are its parts
json_v1    the report for programs, with a schema; json_v1_types: its types
subject    what a run has to tell: the argument of render() in each of the following
           concise, sarif, github, gitlab, junit, markdown, mermaid
diagnosis  what access logs say, for people; diagnosis_v1, in diagnosis_v1_types, for programs
"""
