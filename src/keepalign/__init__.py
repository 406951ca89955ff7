"""Find, prove and fix the timeout that makes your load balancer answer 502 or 504.

The rooms, from the ground up (imports go only downwards; `tests/test_imports.py` holds it):

    cli                         arguments; no logic
    prove                       check, run, fix, run, verdict
    fix  lab  logs  gate        solve and edit; real servers on loopback; access logs and their judge;
                                which findings may fail a run
    join  rules  machines  reports  scenarios
    readers  defaults
    model
    units  errors
"""

__version__ = "0.1.0"
