// expects: refused at 2
import { open } from "callgate/main";
export default class LoadImportsOurs {
  run() { return open; }
}
