// expects: refused at 2
import secret from "/etc/passwd.js";
export default class LoadImportsAbsolute {
  run() { return secret; }
}
