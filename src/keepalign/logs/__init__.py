"""Access logs and their judge.

alb         one line of an ALB access log → LogRow or Rejected; nothing raises
paste       lines as people paste them (prompts, quotes, wrapped) → rows; no line is lost
formats     other forms (JSON, Parquet, Classic Load Balancer) → lines in the ALB's own
health      health check logs → HealthCheck. connections: connection logs → failed handshakes
ecs_events  what ECS, EventBridge, CloudTrail or people say → Deployment
witness     what the servers behind the balancer logged → Testimony, joined with the balancer's lines
inquiry     one call of `diagnose`, from words to a Diagnosis. beside: what is known besides → Evidence
objects     LogObject, what is read; Scanned, what became of it. wanted: which rows are asked for
sources     standard input, files, folders and globs → LogObject
s3          objects below s3://…, found with few requests, what they cost → LogObject
aws         what a live account says: deployments of an ECS service, timers; session: how AWS is asked
blocks      an object's bytes → blocks of whole lines: gzip, damage, lines without end
scan        one object → counters, its error lines, an account of every line. scanner: its hot loop, also in C
cache       what a scan found, kept per object. slim: all lines of an object as a small Parquet table
causes      the causes that lines can show: what each means, what ends it, what would decide
context     what the rows of one target group say together: bursts, constant times, targets' last minutes
sql         the one text that DuckDB, Spark, Athena and Trino run: error rows and counters
parts       error lines of all objects → rows in the order of windows, in bounded memory; counters of a window
windows     rows in order → one Window per target group and hour: the same cut on every engine
engines     where rows are found and judged: on this machine, with DuckDB or Spark, in Athena; SQL for Trino
judge       judge(Window) → one Judged per error row: pure, so that it can run where the rows are
tally       judged rows, one by one → Diagnosis; counting: counters that do not grow with them
traffic     the counters → requests over time, the lives of targets, deployments that these show
patterns    how errors lie in time: with deployments, at night, periodic, steady, in one burst
verdict     the first sentences. advice: what to change, in which order. mitigations: what helps at once
configured  a stack's configuration → its timers, and the lines to change. known: all that is known beside
rows        every error line with its cause, as CSV, JSON lines or Parquet

Slugs are the shared vocabulary of causes; a timeout's cause has the slug of its rule.
"""
