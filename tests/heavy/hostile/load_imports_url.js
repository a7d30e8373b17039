// expects: refused at 2
import secret from "https://example.com/secret.js";
export default class LoadImportsUrl {
  run() { return secret; }
}
