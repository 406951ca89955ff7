#!/usr/bin/env bash
# The step of action.yml: annotations on standard output, SARIF and Markdown as files, the exit code of `check`.
#
# Inputs come as INPUT_…; nothing of them is evaluated. KEEPALIGN is the command to run.
set -euo pipefail

arguments=(check --format github)
sarif="$RUNNER_TEMP/keepalign.sarif"
markdown="$RUNNER_TEMP/keepalign.md"
rm -f "$sarif" "$markdown"
arguments+=(--format "sarif=$sarif" --format "markdown=$markdown" --fail-on "$INPUT_FAIL_ON")
if [[ -n $INPUT_BASE ]]; then arguments+=(--base "$INPUT_BASE"); fi
if [[ -n $INPUT_BASELINE ]]; then arguments+=(--baseline "$INPUT_BASELINE"); fi
if [[ $INPUT_STRICT == true ]]; then arguments+=(--strict); fi
lines() { # appends the lines of $1 to arguments, without empty ones
  while IFS= read -r line; do
    if [[ -n $line ]]; then arguments+=("$line"); fi
  done <<<"$1"
}
lines "$INPUT_ARGUMENTS"
arguments+=(--)
lines "$INPUT_PATHS"

code=0
"$KEEPALIGN" "${arguments[@]}" || code=$?
echo "exit-code=$code" >>"$GITHUB_OUTPUT"
# A run that failed to check writes no report: an old or empty one would look like a clean tree.
if [[ -f $sarif ]]; then echo "sarif=$sarif" >>"$GITHUB_OUTPUT"; fi
if [[ -f $markdown ]]; then
  echo "markdown=$markdown" >>"$GITHUB_OUTPUT"
  cat "$markdown" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
