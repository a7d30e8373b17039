// expects: raised
export default class ReturnsRevokedProxy {
  run() {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  }
}
