// The layout of the demonstration's pages.

import { OutgoingMessage } from "callgate";
import { html } from "./html.js";

// The sites: our own, and the two simulated ones.
export const SHOP = { look: "shop", brand: "callgate demo" };
export const BANK = { look: "bank", brand: "Moon Bank" };
export const EXAMPLE_ID = { look: "id", brand: "Example ID" };

/**
 * A complete page, with a content security policy that allows no scripts and no other sites.
 *
 * All links are relative to `root`, so that they also work if the setting `base_path` moves the
 * demonstration below another path.
 *
 * @param {Session} session
 * @param {{ look: string, brand: string }} site
 * @param {string} title
 * @param {import("./html.js").Markup} content
 */
export function page(session, site, title, content) {
  const root = new URL(session.publicURL("/"));
  const aside = site === SHOP ? `session ${shortId(session)}` : "imagine another site";
  const whole = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<base href="${root.pathname}">
<title>${title}</title>
<link rel="stylesheet" href="demo.css">
</head>
<body class="${site.look}">
<header><a href="./">${site.brand}</a><span>${aside}</span></header>
<main>
${content}
</main>
</body>
</html>
`;
  // A form whose response redirects to the public origin needs that origin in `form-action` when
  // the browser uses another name for this host.
  const policy = `default-src 'none'; style-src 'self'; form-action 'self' ${root.origin}; ` +
    "base-uri 'self'; frame-ancestors 'none'";
  return OutgoingMessage.html(whole.text)
    .setHeader("Content-Security-Policy", policy)
    .setHeader("Referrer-Policy", "no-referrer")
    .setHeader("Cache-Control", "no-store");
}

/**
 * A short page: what happened, what it means, and a link to continue.
 *
 * @param {Session} session
 * @param {{ site?: typeof SHOP, status?: number, title: string, text: string,
 *   wayOn: { href: string, label: string } }} said
 */
export function note(session, { site = SHOP, status = 200, title, text, wayOn }) {
  const content = html`<h1>${title}</h1>
<p>${text}</p>
<p><a class="button" href="${wayOn.href}">${wayOn.label}</a></p>`;
  return page(session, site, title, content).setStatus(status);
}

/**
 * The page for a link that could not be redeemed. It changed nothing, and the client's own session
 * is still there.
 *
 * @param {Session} session
 * @param {Otp} otp the outcome of the token, from `request.otp` or `session.restoreOutcome`
 * @param {{ href: string, label: string }} wayOn
 */
export function refused(session, otp, wayOn) {
  switch (otp.outcome) {
    case "used": {
      const text = `Somebody followed it at ${timeOfDay(otp.usedAt)}. A link works once.`;
      return note(session, { status: 410, title: "This link has been used", text, wayOn });
    }
    case "expired": {
      const text = "It was good for a while, and that is over.";
      return note(session, { status: 410, title: "This link has expired", text, wayOn });
    }
    case "sessionGone": {
      const text = "The session that it belongs to has ended.";
      return note(session, { status: 410, title: "This link has nowhere to lead", text, wayOn });
    }
    case "endedBySignIn": {
      const text = "Somebody has signed in since it was made, in another tab perhaps.";
      return note(session, { status: 410, title: "This link is not needed any more", text, wayOn });
    }
    case "wrongHandler": {
      const text = "It still works there. Nothing was spent.";
      return note(session, { status: 403, title: "This link is for another page", text, wayOn });
    }
    default: {
      const text = "Perhaps a part of it was lost on the way. Copy all of it, to the last letter.";
      return note(session, { status: 404, title: "Nobody knows this link", text, wayOn });
    }
  }
}

/**
 * Redirects the browser to a path of this site with a GET, keeping the host name that it uses.
 *
 * @param {Session} session
 * @param {string} path such as "/mail", or "/mail?name=value"
 */
export function redirect(session, path) {
  const { pathname, search } = new URL(session.publicURL(path));
  return OutgoingMessage.redirect(pathname + search);
}

/**
 * Creates a query string. `+` is not decoded in queries, so spaces are written as `%20`.
 *
 * @param {Record<string, string | undefined>} fields
 */
export function query(fields) {
  const pairs = Object.entries(fields);
  return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`).join("&");
}

/**
 * The first digits of a session id, enough to recognize it.
 *
 * @param {Session} session
 */
export function shortId(session) {
  return session.id.slice(0, 8);
}

/**
 * The time of day of a timestamp such as "2026-01-01T09:30:00.000Z".
 *
 * @param {string} moment
 */
export function timeOfDay(moment) {
  return `${moment.slice(11, 19)} UTC`;
}

/**
 * Whether the client is a browser and not a program.
 *
 * @param {IncomingMessage} request
 */
export function readsHtml(request) {
  return request.getHeader("Accept").includes("text/html");
}
