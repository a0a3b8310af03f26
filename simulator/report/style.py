"""The style sheet of the report's page."""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d8dde3; --tint: #f5f7f9; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; }
main, header, nav { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 46rem; }
.question { font-size: 1.2rem; color: var(--soft); margin: 0 0 1.2rem; }
.answer { border-left: 4px solid #0072B2; background: var(--tint); padding: .9rem 1.2rem; }
.answer p { margin: .3rem 0; }
.answer p:first-child { font-size: 1.15rem; font-weight: 550; }
.note { color: var(--soft); font-size: .9rem; }
.warning { border-left: 4px solid #D55E00; padding: .5rem 1rem; background: #fdf3ec; }
nav { margin-top: 1.2rem; font-size: .95rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: #005a8e; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em; }
.number { white-space: nowrap; }
.scroll { position: relative; overflow-x: auto; margin: 0 0 .8rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: .9rem; margin: .8rem 0 .3rem; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
thead th { font-weight: 600; border-bottom-color: #8a929c; vertical-align: bottom; }
thead td { border: 0; }
thead th.name { font-weight: 600; }
thead .group { text-align: center; color: var(--soft); font-weight: 500; border-bottom: 0; }
th[scope=row], th.name, td.name { text-align: left; font-weight: 500; white-space: nowrap; }
.arms th:first-child { position: sticky; left: 0; background: #fff; }
td { white-space: nowrap; }
th.long, td.long { min-width: 16rem; overflow-wrap: anywhere; white-space: normal !important; }
td small { display: block; color: var(--soft); white-space: nowrap; }
.best { font-weight: 700; white-space: nowrap; }
.star { color: #8a5a00; }
.matrices { display: grid; gap: 1.2rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
.matrix td { text-align: center; border: 1px solid #fff; min-width: 2.4rem;
  padding: .25rem .3rem; line-height: 1.3; color: #10151a;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.matrix td small { color: inherit; }
.matrix td.truth { outline: 2px solid var(--ink); outline-offset: -2px; }
.matrix th { font-size: .78rem; border: 0; padding: .2rem .3rem; text-align: center; }
.matrix th[scope=row], .matrix .name { text-align: right; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; }
.chart { width: 100%; min-height: 6rem; overflow: hidden; }
.swatch { width: 30px; height: 12px; vertical-align: -1px; }
.legend { list-style: none; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.2rem; }
.multiples { display: grid; gap: .6rem .8rem;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.multiples figure { margin: 0; break-inside: avoid; min-width: 0; overflow-wrap: anywhere; }
.multiples figcaption { font-size: .82rem; color: var(--ink); padding-left: 14%; }
.multiples figure svg { width: 100%; height: auto; display: block; }
.multiples path:not([fill]) { fill: none; stroke-width: 1.5; }
.multiples .grid { stroke: var(--line); stroke-width: 1; }
.multiples text { font-size: 9px; fill: var(--soft); }
.multiples a { color: inherit; text-decoration: none; display: block; border-radius: 4px; }
.multiples a:hover, .multiples a:focus-visible { background: var(--tint);
  outline: 2px solid #0072B2; outline-offset: 2px; }
.multiples a figcaption { color: #005a8e; text-decoration: underline; }
.pair { display: grid; gap: 0 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.pair figure { min-width: 0; }
.tools { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center;
  font-size: .95rem; margin: .8rem 0; }
.tools { max-width: none; }
.tools label { min-width: 0; max-width: 100%; }
.tools select, .tools input, .tools button { font: inherit; padding: .25rem .5rem; max-width: 100%;
  border: 1px solid #8a929c; border-radius: 4px; background: #fff; color: var(--ink); }
.filters { position: sticky; top: 0; z-index: 3; background: #fff; max-height: 70vh;
  overflow-y: auto; border-bottom: 1px solid var(--line); padding: .4rem 0; margin-top: 1rem; }
.filters ul { list-style: none; padding: 0; margin: .4rem 0; display: flex; flex-wrap: wrap;
  gap: .3rem 1.2rem; }
.filters label { white-space: nowrap; }
.filters input { width: 1.1rem; height: 1.1rem; vertical-align: -2px; }
html:not(.script) .chart { min-height: 0; font-size: .9rem; max-width: 46rem; }
html:not(.script) .chart::before { content: attr(aria-label); }
html:not(.script) .needs-script { display: none; }
section { scroll-margin-top: 2.5rem; }
[hidden] { display: none !important; }
#one-user h2 { margin-top: 1rem; border: 0; padding: 0; }
#one-user h2:focus { outline: 0; }
.steps a { margin-right: 1.2rem; }
.timeline { display: block; }
.timeline text { font-size: 11px; fill: var(--soft); }
.timeline .heading { font-size: 13px; font-weight: 600; fill: var(--ink); }
.timeline .chosen { font-weight: 700; fill: var(--ink); }
.timeline .on { fill: var(--ink); paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.one main > section:not(#one-user), .one nav, .one .filters, .one header > :not(h1) {
  display: none; }
pre { overflow-x: auto; background: var(--tint); padding: 1rem; font-size: .85rem; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; font-size: .95rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
footer { height: 4rem; }
@media (max-width: 40rem) {
  body { font-size: .95rem; }
  header { padding-top: 1.4rem; }
  h1 { font-size: 1.5rem; }
  .arms thead th { min-width: 4.6rem; }
  .matrix, .matrix th { font-size: .74rem; }
  .matrix td { min-width: 2rem; padding: .2rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print {
  body { font-size: 10pt; }
  nav, .filters, .tools, .steps { display: none !important; }
  main, header { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding: .2rem .35rem; }
  td { white-space: normal; }
  th.long, td.long { min-width: 0; }
  .wide { font-size: min(8pt, calc(175mm / (3 * var(--columns) + 12))); width: 100%; }
  .wide th, .wide td { padding: .2em .25em; overflow-wrap: anywhere; white-space: normal; }
  .wide th[scope=row] { max-width: 12em; }
  .wide thead th { writing-mode: vertical-rl; text-align: right; white-space: nowrap; }
  .wide thead .group { writing-mode: horizontal-tb; text-align: center; white-space: normal; }
  .matrix:not(.wide), .matrix:not(.wide) th { font-size: 7.5pt; }
}
"""
