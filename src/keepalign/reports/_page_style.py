"""The style sheet of HTML reports: light and dark, for screens and paper."""

from __future__ import annotations

from typing import Final

# Colours of the causes after Okabe and Ito: told apart also by the colour-blind.
STYLE: Final = (
    """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --dim: #57606a; --line: #d0d7de;
  --well: #f6f8fa; --bad: #c2410c; --link: #0550ae; --c0: #d55e00; --c1: #0072b2; --c2: #009e73;
  --c3: #cc79a7; --c4: #b58900; --c5: #56b4e9; --c6: #7f7f7f; --c7: #444c56; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --dim: #9da7b1;
  --line: #30363d; --well: #161b22; --bad: #ff8a5c; --link: #79c0ff; --c0: #ff8a3d; --c1: #58a6ff;
  --c2: #3fc79a; --c3: #e39ac6; --c4: #e3b341; --c5: #7cc7f2; --c6: #a0a0a0; --c7: #c9d1d9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.35rem; line-height: 1.4; margin: 0 0 .5rem; }
h1, h2, p, li { overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: var(--link); }
code, pre { font: .875em/1.45 ui-monospace, monospace; }
pre { background: var(--well); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem;
  margin: .25rem 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 9rem minmax(0, 1fr); gap: .35rem 1rem; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
dd ul, dd ol { margin: 0; padding-left: 1.2rem; }
dd p { margin: .25rem 0; }
figure { margin: 0 0 .5rem; }
figcaption p { margin: 0; }
figcaption { color: var(--dim); font-size: .9rem; }
figcaption ul { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; padding: 0; margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; min-width: 46rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; }
summary { cursor: pointer; color: var(--link); }
details { margin: .5rem 0; }
.partial { background: var(--well); border-left: 4px solid var(--c4); padding: .6rem .8rem;
  font-weight: 600; }
.summary, footer { color: var(--dim); }
.count { font-weight: 600; color: var(--ink); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; vertical-align: -.05em; }
figure { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 40rem; height: auto; }
svg.share { display: inline-block; width: 5rem; min-width: 0; height: .7rem; }
.one { white-space: nowrap; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
.axis { stroke: var(--line); stroke-width: 1; }
.deploy { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
.traffic { fill: none; stroke: var(--dim); stroke-width: 1.5; }
.life { fill: var(--line); }
.failed { fill: var(--bad); }
"""
    + "".join(f".c{n} {{ fill: var(--c{n}); }} .key.c{n} {{ background: var(--c{n}); }}\n" for n in range(8))
    + """@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; }
  svg.time { min-width: 0; } svg.time text { font-size: 24px; } }
@media print { details { display: none; } main { max-width: none; } }
"""
)
