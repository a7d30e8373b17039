// expects: refused at 2
import fs from "fs";
export default class LoadImportsFs {
  run() { return fs; }
}
