"""Access logs and their judge.

alb         one line of an ALB access log → LogRow or Rejected; nothing raises
paste       lines as people paste them (prompts, quotes, wrapped) → rows; no line is lost
sources     standard input and files, plain or gzip, as lines
causes      the causes that lines can show: what each means, what ends it, what would decide
context     what the rows of one target group say together: bursts, constant times, targets' last minutes
judge       judge(Window) → one Judged per error row: pure, so that it can run where the rows are
diagnosis   rows → windows → judge → Diagnosis, ready to be laid out

Slugs are the shared vocabulary of causes; a timeout's cause has the slug of its rule.
"""
