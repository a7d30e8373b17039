// A shop in JavaScript behind callgate: it sends users to other sites and finds their session again
// when they return.
// Run: see README.md

const express = require("express");

const API = process.env.CALLGATE_API ?? "http://127.0.0.1:8045";
const app = express();

/** Calls the session API for the session of the current request. */
async function callgate(request, method, path, body) {
  const headers = { "X-Callgate-Capability": request.get("X-Callgate-Capability") };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(API + path, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`callgate: ${response.status} ${(await response.json()).code}`);
  return response.status === 204 ? null : response.json();
}

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// Puts a book into the cart and shows the callback URL for a payment page.
app.get("/shop", async (request, response) => {
  await callgate(request, "PATCH", "/session/storage", { order: { item: "book", paid: false } });
  const options = { path: "/paid", lifespan: 3600 };
  const { url } = await callgate(request, "POST", "/session/otp", options);
  response.send(`<p>One book, not paid.</p><a href="${escape(url)}">Pay</a>`);
});

// The callback. callgate has redeemed the token, once, and this is the session of the shop.
app.get("/paid", async (request, response) => {
  if (request.get("X-Callgate-Otp") !== "restored") {
    return response.status(403).send("This link is not valid any more.");
  }
  const { order } = await callgate(request, "GET", "/session/storage");
  await callgate(request, "PATCH", "/session/storage", { order: { ...order, paid: true } });
  response.send(`Thank you for paying the ${escape(order.item)}.`);
});

// Shows the order, in any browser with access to the session.
app.get("/order", async (request, response) => {
  const { order } = await callgate(request, "GET", "/session/storage");
  response.json(order ?? {});
});

// Redirects the browser to an identity provider, with a token as its state.
app.get("/sign-in", async (request, response) => {
  const { token } = await callgate(request, "POST", "/session/otp", { lifespan: 600 });
  response.redirect(`https://id.example/authorize?client_id=shop&state=${token}`);
});

// The identity provider redirects the browser back with that state. A real shop then asks the
// provider for the user.
app.get("/signed-in", async (request, response) => {
  const options = { token: String(request.query.state ?? "") };
  const { restored } = await callgate(request, "POST", "/session/restore", options);
  if (!restored) return response.status(403).send("Please sign in again.");
  const session = await callgate(request, "PUT", "/session/privileges", { userName: "ada" });
  response.send(`Welcome back, ${escape(session.userName)}.`);
});

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
