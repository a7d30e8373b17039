// expects: any
let kept;
export default class UsesTheDead {
  async run(request, session) {
    const before = kept;
    kept = { request, session };
    if (!before) return "kept";
    const raised = [];
    for (const use of [() => before.request.verb, () => before.session.id]) {
      try {
        use();
      } catch (error) {
        raised.push(error.message);
      }
    }
    if (raised.some((text) => text !== "the request has ended") || raised.length !== 2) {
      return "used";
    }
    throw new Error("the request has ended");
  }
}
