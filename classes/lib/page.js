// What the pages of the demonstration have in common.

import { OutgoingMessage } from "callgate";
import { html } from "./html.js";

// Whose page it is: our own, or one of the two sites that are played.
export const SHOP = { look: "shop", brand: "callgate demo" };
export const BANK = { look: "bank", brand: "Moon Bank" };
export const EXAMPLE_ID = { look: "id", brand: "Example ID" };

/**
 * A whole page, under a policy that lets no script and no other site in.
 *
 * All links of the pages are relative to `root`, so that they also work where the setting
 * `base_path` puts the demonstration below another path.
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
  // A form that is answered with a redirection to the public address needs that address to be
  // allowed, when the visitor knows this machine by another name.
  const policy = `default-src 'none'; style-src 'self'; form-action 'self' ${root.origin}; ` +
    "base-uri 'self'; frame-ancestors 'none'";
  return OutgoingMessage.html(whole.text)
    .setHeader("Content-Security-Policy", policy)
    .setHeader("Referrer-Policy", "no-referrer")
    .setHeader("Cache-Control", "no-store");
}

/**
 * A page of a few words: what happened, what that means, and a way on.
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
 * What somebody reads whose link brought him nowhere. Nothing was changed by his coming, and his
 * own session is still there.
 *
 * @param {Session} session
 * @param {Otp} otp what became of the token, as `request.otp` or `session.restoreOutcome` says it
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
 * Sends the browser to a path of this site, with a GET. The host stays the one that the visitor
 * knows this machine by.
 *
 * @param {Session} session
 * @param {string} path such as "/mail", or "/mail?name=value"
 */
export function redirect(session, path) {
  const { pathname, search } = new URL(session.publicURL(path));
  return OutgoingMessage.redirect(pathname + search);
}

/**
 * The part of an address behind the question mark. In queries a `+` stays a `+`, so that spaces
 * have to be written as `%20`.
 *
 * @param {Record<string, string | undefined>} fields
 */
export function query(fields) {
  const pairs = Object.entries(fields);
  return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`).join("&");
}

/**
 * The beginning of a session's name, enough for a person to know it again.
 *
 * @param {Session} session
 */
export function shortId(session) {
  return session.id.slice(0, 8);
}

/**
 * Hours, minutes and seconds of a moment such as "2026-01-01T09:30:00.000Z".
 *
 * @param {string} moment
 */
export function timeOfDay(moment) {
  return `${moment.slice(11, 19)} UTC`;
}

/**
 * Whether a person reads the answer, and not a program.
 *
 * @param {IncomingMessage} request
 */
export function readsHtml(request) {
  return request.getHeader("Accept").includes("text/html");
}
