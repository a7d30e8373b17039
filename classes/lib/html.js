// Markup, made so that nobody's words become a part of it.

/** @type {Record<string, string>} */
const REFERENCES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** What the tag `html` has made: text that may be sent as it is. */
export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * Tags a template as markup: html`<p title="${words}">${more}</p>`.
 *
 * What the template itself says is markup. What is filled in is text, unless `html` has made it
 * as well; of a list, each piece. Attributes have to stand in quotes.
 *
 * @param {TemplateStringsArray} pieces
 * @param {any[]} values
 */
export function html(pieces, ...values) {
  return new Markup(String.raw({ raw: pieces }, ...values.map(textOf)));
}

/**
 * @param {any} value
 * @returns {string}
 */
function textOf(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(textOf).join("");
  return String(value ?? "").replace(/[&<>"']/g, (letter) => REFERENCES[letter]);
}
