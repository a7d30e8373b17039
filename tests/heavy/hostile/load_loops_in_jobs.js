// expects: refused
for (;;) await null;
export default class LoadLoopsInJobs {
  run() {}
}
