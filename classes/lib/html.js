// HTML templates that escape the values inserted into them.

/** @type {Record<string, string>} */
const REFERENCES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** The result of the tag `html`: markup that can be sent without escaping. */
export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * A template tag for markup: html`<p title="${words}">${more}</p>`.
 *
 * The template itself is markup. Values are escaped as text unless they come from `html`, too; the
 * elements of a list are inserted one by one. Attribute values must be quoted.
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
