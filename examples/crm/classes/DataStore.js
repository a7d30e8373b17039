// What pages call with fetch, below /rest/$catalog.

export default class DataStore {
  static exposed = ["top"];

  /** The first of the customers that the session holds. */
  top(request, session, count = 3) {
    if (!session.hasPrivilege("sales")) return [];
    return (session.storage.myTop3 ?? []).slice(0, count);
  }
}
