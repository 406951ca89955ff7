"""What keepalign knows about a request path: frozen data, no I/O, no judgement.

source      Span, Origin: where a value was written, through which variables, or whose default it is
timers      Role: the kinds of timer, and what each measures
setting     Explicit | Default | Disabled | Unlimited | Unknown: a value, its origin, and where to edit it
path        RequestPath, Hop, Link: client first, origin last
lifecycle   deregister, drain, stop signal, grace, kill
workload    what the endpoints take, as declared
finding     Finding, Severity, Confidence, Location
fingerprint what stays of a finding while lines move; Names of files whatever the folder one starts in
gated       what is held back, what is new since a revision, and why
trace       what a run did: one record per request, one per event
observation LogRow, Window, Evidence, Judged: what access logs say, and what a line was taken for
diagnosis   Diagnosis, CauseGroup: what that comes to
"""
