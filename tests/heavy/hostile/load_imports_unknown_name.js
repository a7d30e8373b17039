// expects: refused
import { fs } from "callgate";
export default class LoadImportsUnknownName {
  run() { return fs; }
}
