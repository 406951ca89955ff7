"""Helm charts, rendered by an evaluator of our own that keeps the place of every value.

charts      the charts of a tree, their values and sub-charts, and the objects they render to
program     what the helm program prints, where there is one, for what is not followed here
rendering   templates at work
functions   the functions that charts call
syntax      templates as trees
values      values of templates, and as YAML
text        text that knows where each piece is written
"""

from keepalign.readers.kubernetes.helm.charts import Charts, Release, read_charts

__all__ = ["Charts", "Release", "read_charts"]
