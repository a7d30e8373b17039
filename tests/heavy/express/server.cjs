// Express with express-session, doing what the class Trivial of tests/heavy/class_speed.rs does:
// write a value into the session, and read it again. Sessions are in memory, in the store that
// express-session brings along; nothing is logged.
"use strict";

const express = require("express");
const session = require("express-session");

const app = express();
app.disable("x-powered-by");
app.use(session({ secret: "a secret of this test", resave: false, saveUninitialized: false }));

app.get("/write", (request, response) => {
  request.session[request.query.key] = request.query.value;
  response.json({ result: null });
});

app.get("/class/read", (request, response) => {
  response.json({ result: request.session[request.query.key] });
});

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
