// What forms call by name, below /4DACTION.

import { OutgoingMessage } from "callgate";
import { salesPerson, topCustomers, verify } from "./lib/people.js";

export default class Actions {
  static actions = ["authenticate"];

  /** @type {Handler} */
  async authenticate(request, session) {
    const { userId = "", password = "" } = (await request.getForm()).fields;
    const sales = salesPerson(Number(userId));
    // An unknown id takes as long as a wrong password, and reads the same.
    if (!(await verify(password, sales?.password)) || !sales) {
      return new OutgoingMessage().setStatus(403).setBody("This userId or password is wrong");
    }
    session.setPrivileges({
      privileges: ["sales"],
      userName: `${sales.firstName} ${sales.lastName}`,
    });
    session.storage.myTop3 = topCustomers(sales.userId, 3);
    return OutgoingMessage.redirect(session.takeReturnPath("/authenticationOK.shtml"));
  }
}
