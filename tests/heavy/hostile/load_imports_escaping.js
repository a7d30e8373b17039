// expects: refused at 2
import secret from "../../etc/secret.js";
export default class LoadImportsEscaping {
  run() { return secret; }
}
