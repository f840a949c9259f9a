/** How /docs looks. */
export const DOCS_STYLE = `
:root {
  --ink: #1d2129; --soft: #5b6472; --line: #dfe3e8; --paper: #fff; --tint: #f4f6f8;
  --link: #0b57c2; --get: #1a7f4b; --post: #8a4b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7ec; --soft: #9aa4b2; --line: #323944; --paper: #14171c; --tint: #1d2229;
    --link: #7db3ff; --get: #5fd39a; --post: #f0b25f;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 68rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h1 small { color: var(--soft); font-size: 1rem; font-weight: 400; }
header p { max-width: 46rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
p code, td code, dd code, li span code {
  background: var(--tint); border-radius: 4px; padding: .1em .3em;
}
td code { overflow-wrap: anywhere; }
.method {
  display: inline-block; min-width: 4.2em; font: 700 .75em ui-monospace, Menlo, monospace;
  letter-spacing: .03em;
}
.get { color: var(--get); }
.post { color: var(--post); }
.key {
  border: 1px solid var(--line); border-radius: 999px; padding: .05em .55em; color: var(--soft);
  font: 600 .72rem system-ui, sans-serif; vertical-align: middle;
}
nav { border: 1px solid var(--line); border-radius: 8px; padding: .4rem 1rem; margin: 1.5rem 0; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li {
  display: grid; grid-template-columns: minmax(23rem, auto) 1fr; gap: 0 1rem; padding: .25rem 0;
}
nav li span { color: var(--soft); }
nav li a span.get { color: var(--get); }
nav li a span.post { color: var(--post); }
section { border-top: 1px solid var(--line); padding: 1.2rem 0 .6rem; scroll-margin-top: .5rem; }
section:target { background: linear-gradient(90deg, var(--tint), transparent); }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
section p { margin: .3rem 0 .8rem; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; table-layout: fixed; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th:nth-child(1) { width: 27%; }
th:nth-child(2) { width: 23%; }
th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:nth-child(2) { color: var(--soft); }
td b { color: var(--post); font-size: .78rem; font-weight: 600; white-space: nowrap; }
.ignored td { color: var(--soft); }
details { margin: .8rem 0; font-size: .92rem; }
summary { cursor: pointer; color: var(--link); }
dl {
  display: grid; grid-template-columns: minmax(10rem, 27%) 1fr; gap: .3rem .8rem; margin: .6rem 0;
}
dt { overflow-wrap: anywhere; }
dd { margin: 0; }
@media (max-width: 40rem) {
  nav li { display: block; padding: .4rem 0; }
  nav li span:last-child { display: block; font-size: .9rem; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  dl { display: block; }
  dd { margin: 0 0 .5rem; }
}
@media print { nav { display: none; } }
`;
