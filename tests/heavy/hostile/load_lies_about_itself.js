// expects: no class
export default new Proxy(class LoadLiesAboutItself {}, {
  construct() { for (;;); },
});
