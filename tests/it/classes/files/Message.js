// What `OutgoingMessage` promises, and what becomes of other values.
import { OutgoingMessage } from "callgate";
import { equal, raises } from "./check.js";

export default class Message {
  isChecked() {
    const message = new OutgoingMessage();
    equal([message.status, message.body, message.headers], [200, undefined, {}]);
    equal(message.setStatus(201) === message && message.setBody("x") === message, true);
    equal(message.setHeader("X-A", "1").setHeader("x-a", "2") === message, true);
    equal(message.headers, { "Content-Type": "text/plain; charset=utf-8", "x-a": "2" });
    message.setHeader("Set-Cookie", "a=1").setHeader("set-cookie", "b=2");
    equal(message.headers["set-cookie"], "a=1, b=2");
    raises("TypeError", "", () => (message.headers.a = "1"));
    raises("TypeError", "", () => (message.statusCode = 404));
    for (const bad of [undefined, null, 1, true, () => 1]) {
      raises("TypeError", "OutgoingMessage.setBody wants", () => message.setBody(bad));
    }
    raises("TypeError", "a text for the name", () => message.setHeader(1, "x"));
    raises("TypeError", 'a text for the value of "X-B"', () => message.setHeader("X-B", 5));
    raises("TypeError", "a whole number, not a text", () => message.setStatus("404"));
    for (const bad of [0, 99, 101, 199, 600, 200.5, -1]) {
      raises("RangeError", "status from 200 to 599", () => message.setStatus(bad));
    }
    for (const bad of ["a\r\nb: c", "a\n", "\0", "é", "x".repeat(9000)]) {
      raises("RangeError", "visible ASCII", () => message.setHeader("X-A", bad));
    }
    for (const bad of ["Content-Length", "transfer-encoding", "Connection", "Date"]) {
      raises("RangeError", "set by callgate", () => message.setHeader(bad, "1"));
    }
    raises("RangeError", "not a header name", () => message.setHeader("a b", "1"));
    for (let n = message.status; n < 300; n += 1) {
      if (Object.keys(message.headers).length >= 63) break;
      message.setHeader(`X-${n}`, "1");
    }
    raises("RangeError", "at most 64", () => message.setHeader("X-One-Too-Many", "1"));
    message.setHeader("x-a", "3");
    equal([message.status, message.body], [201, "x"]);
    const circle = {};
    circle.self = circle;
    raises("TypeError", "contains itself", () => message.setBody(circle));
  }

  bodyKeepsTheType() {
    const message = new OutgoingMessage().setBody({ a: 1 });
    message.body = "text";
    message.status = 202;
    return message;
  }

  text() { return new OutgoingMessage().setBody("é😀"); }
  bytes() { return new OutgoingMessage().setBody(new Uint8Array([0, 255, 10])); }
  view() { return new OutgoingMessage().setBody(new Uint8Array([9, 1, 2, 9]).subarray(1, 3)); }
  buffer() { return new OutgoingMessage().setBody(new Uint8Array([7]).buffer); }
  object() { return new OutgoingMessage().setBody({ a: [1, null] }); }
  list() { return new OutgoingMessage().setBody([1, 2]); }
  empty() { return new OutgoingMessage(); }
  page() { return OutgoingMessage.html("<p>é"); }
  away() { return OutgoingMessage.redirect("/there?x=1"); }
  own() { return new OutgoingMessage().setBody("<p>").setHeader("content-type", "text/html"); }
  cookies() { return new OutgoingMessage().setHeader("Set-Cookie", "a=1").setHeader("Set-Cookie", "b=2"); }
  picture(request) { return new OutgoingMessage().setBody(request.getPicture()); }
  number() { return 7; }
  value() { return { a: [1, "é"], toJSON: undefined }; }
  nothing() {}
  nullish() { return null; }
  later() { return Promise.resolve("later"); }
  thenable() { return { then: (done) => done("then") }; }
  function_() { return () => 1; }
  promise() { return { link: Promise.resolve(1) }; }
  promiseInBody() { return new OutgoingMessage().setBody({ link: [Promise.resolve(1)] }); }
  promiseAsBody() { return new OutgoingMessage().setBody(Promise.resolve("x")); }
  error() { return { error: new Error("x") }; }
  average() { return { list: [1, { average: 0 / 0 }] }; }
  map() { return new OutgoingMessage().setBody(new Map([[1, 2]])); }
  bigint() { return { n: 1n }; }
  huge() { return "x".repeat(1_100_000); }
  half() { return new OutgoingMessage().setBody("a\ud800b"); }
}
