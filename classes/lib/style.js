// The style sheet of the demonstration. Class files cannot read other files, so it is a string.

export const STYLE = `\
:root {
  color-scheme: light dark;
  --paper: #fbfaf7;
  --panel: #fff;
  --ink: #1d2430;
  --soft: #5b6472;
  --line: #dcdad3;
  --accent: #1f5fbf;
  --on-accent: #fff;
  --good: #1c7a45;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f;
    --panel: #1c222c;
    --ink: #e8eaee;
    --soft: #9aa4b2;
    --line: #333c49;
    --accent: #8ab4f8;
    --on-accent: #10151d;
    --good: #6fcf97;
  }
}
.bank { --accent: #0b6b57; --paper: #f1f7f4; }
.id { --accent: #6a3fb5; --paper: #f6f3fb; }
@media (prefers-color-scheme: dark) {
  .bank { --accent: #6fd3b8; --paper: #0f1a18; }
  .id { --accent: #c3a5f7; --paper: #17131f; }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word;
}
header {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 1rem;
  padding: .8rem max(1.25rem, 50vw - 22rem);
  border-bottom: 1px solid var(--line);
  color: var(--soft);
  font-size: .9rem;
}
header a { color: inherit; font-weight: 600; text-decoration: none; }
.bank header, .id header { background: var(--accent); color: var(--on-accent); border: 0; }
main { max-width: 46.5rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: clamp(1.7rem, 6vw, 2.3rem); line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { margin: 0 0 1rem; max-width: 40rem; }
a { color: var(--accent); }
code, pre { font: .92em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre {
  margin: 0 0 1rem;
  padding: .75rem 1rem;
  background: var(--panel);
  border: 1px solid var(--line);
  border-radius: .5rem;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
small { display: block; color: var(--soft); font-size: .85rem; }
.lead { font-size: 1.15rem; }
.aside { color: var(--soft); font-size: .95rem; margin-top: 2rem; }

.path { list-style: none; display: flex; gap: 2.5rem; margin: 2rem 0; padding: 0; }
.path li {
  position: relative;
  flex: 1;
  padding: .9rem 1rem;
  border: 1px solid var(--line);
  border-radius: .6rem;
  background: var(--panel);
}
.path li + li::before {
  content: "→";
  position: absolute;
  left: -2.5rem;
  width: 2.5rem;
  top: 50%;
  transform: translateY(-50%);
  text-align: center;
  color: var(--accent);
  font-size: 1.4rem;
}
.path b { display: block; }
.path li:first-child, .path li:last-child { border-color: var(--accent); }

.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; }
.card {
  display: block;
  padding: 1rem;
  border: 1px solid var(--line);
  border-radius: .6rem;
  background: var(--panel);
  color: inherit;
  text-decoration: none;
}
.card:hover { border-color: var(--accent); }
.card b { display: block; color: var(--accent); }
.card small { margin-top: .5rem; }

dl { display: grid; grid-template-columns: 8.5rem 1fr; gap: .35rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }

form { margin: 0 0 1rem; }
.panel, .mail {
  padding: 1.25rem;
  margin: 1.5rem 0;
  border: 1px solid var(--line);
  border-radius: .6rem;
  background: var(--panel);
}
.panel > :last-child, .mail > :last-child { margin-bottom: 0; }
.mail { border-top: 4px solid var(--accent); }
.mail dl { grid-template-columns: 4.5rem 1fr; padding-bottom: 1rem; border-bottom: 1px solid var(--line); }
.link { overflow-wrap: anywhere; }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
.check { display: flex; gap: .6rem; align-items: baseline; font-weight: 400; margin-bottom: 1rem; }
.check input { flex: none; accent-color: var(--accent); }
input:not([type=checkbox]) {
  width: 100%;
  max-width: 26rem;
  padding: .6rem .75rem;
  margin-bottom: 1rem;
  border: 1px solid var(--soft);
  border-radius: .4rem;
  background: var(--paper);
  color: inherit;
  font: inherit;
}
button, .button {
  display: inline-block;
  padding: .6rem 1.2rem;
  border: 1px solid var(--accent);
  border-radius: .4rem;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  text-decoration: none;
  cursor: pointer;
}
.quiet { background: transparent; color: var(--accent); }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.total { display: flex; justify-content: space-between; font-size: 1.15rem; }
.mark { font-size: 2.5rem; line-height: 1; margin-bottom: .5rem; }
.good { color: var(--good); }
details { margin-top: 2rem; }
summary { cursor: pointer; color: var(--accent); margin-bottom: .75rem; }

@media (max-width: 40rem) {
  .path { flex-direction: column; gap: 2rem; }
  .path li + li::before { content: "↓"; left: 0; width: 100%; top: -1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
  .mail dl { grid-template-columns: 4.5rem 1fr; gap: .35rem 1rem; }
  .mail dd { margin: 0; }
}
`;
