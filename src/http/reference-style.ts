/** Of the reference page; follows what the reader's system prefers. */
export const REFERENCE_STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d8dee4, #3d444d); --soft: light-dark(#59636e, #9198a1); --box: light-dark(#f6f8fa, #151b23); --link: light-dark(#0969da, #4493f8) }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 18rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1rem 1.25rem; border-right: 1px solid var(--line) }
nav h2 { margin: 1.25rem 0 .25rem; font-size: .8rem; text-transform: uppercase; letter-spacing: .04em; color: var(--soft) }
nav ul { margin: 0; padding: 0; list-style: none }
nav a { display: block; padding: .1rem 0; color: inherit; text-decoration: none }
nav a:hover { text-decoration: underline }
main { padding: 1rem 2rem 4rem; max-width: 60rem }
a { color: var(--link) }
h2 { margin: 3rem 0 .5rem }
h3 { margin: 0 }
h4 { margin: 1.25rem 0 .25rem }
section { padding: 1.5rem 0; border-top: 1px solid var(--line) }
code, pre { font: .87em/1.5 ui-monospace, monospace }
pre { padding: .75rem 1rem; overflow-x: auto; background: var(--box); border-radius: 6px }
.path code { font-size: .95em }
.method, .status { font-weight: 700 }
.type, .optional, .bound { color: var(--soft); font-size: .9em }
.optional { font-style: italic }
dl { margin: .25rem 0 .25rem 0 }
dt { margin-top: .4rem }
dd { margin-left: 1.5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
details { margin: .4rem 0 }
summary { cursor: pointer }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto; border: 0 } main { padding: 1rem } }
`
