// What `request` promises.
import { equal, raises, rejects } from "./check.js";

export default class Request {
  isReadOnly(request) {
    for (const member of ["url", "urlPath", "urlQuery", "verb", "headers", "params", "remoteAddress", "otp"]) {
      raises("TypeError", "", () => (request[member] = "x"));
    }
    raises("TypeError", "", () => (request.mine = 1));
    raises("TypeError", "", () => (request.getText = () => ""));
    raises("TypeError", "", () => request.urlPath.push("x"));
    raises("TypeError", "", () => (request.urlQuery.a = 1));
    raises("TypeError", "", () => (request.headers.host = "x"));
    raises("TypeError", "", () => (request.params.a = "x"));
    raises("TypeError", "", () => (request.otp.outcome = "restored"));
    raises("TypeError", "request.getHeader wants a text, not a number", () => request.getHeader(1));
    equal(request.urlPath === request.urlPath && request.headers === request.headers, true);
  }

  async wantsAForm(request) {
    await rejects("Error", "the body is no form", request.getForm());
    raises("SyntaxError", "the body is not valid JSON", () => request.getJSON());
    equal([request.getText(), request.getBlob().length, request.getPicture()], ["", 0, null]);
  }

  async members(request) {
    let json;
    try {
      json = request.getJSON();
    } catch (error) {
      json = error.message;
    }
    const { url, urlPath, urlQuery, verb, headers, params, remoteAddress, otp } = request;
    return {
      url, urlPath, urlQuery, query: [...request.query], verb, params, remoteAddress, otp, json,
      host: headers.host, mixed: headers["x-mixed"], got: request.getHeader("X-MIXED"),
      absent: request.getHeader("x-absent"), text: request.getText(),
      bytes: [...request.getBlob()],
    };
  }

  async form(request) {
    const form = await request.getForm();
    const files = form.files.map(({ field, name, type, bytes }) => ({ field, name, type, bytes: [...bytes] }));
    return { fields: form.fields, files, boxes: form.all("box") };
  }

  picture(request) {
    const picture = request.getPicture();
    return picture && [picture.type, picture.bytes.length, [...picture.bytes.slice(0, 4)]];
  }
}
