// Who sells to whom. An application asks its own service for this, with fetch.

/** Passwords are kept as PBKDF2-HMAC-SHA-256 with 1,000 rounds (RFC 8018 §5.2). */
const ROUNDS = 1_000;

const SALES_PERSONS = [
  {
    userId: 7,
    firstName: "Anna",
    lastName: "Keller",
    password: {
      salt: "c0ffee7a5e11",
      hash: "68362285cf8cf123f1f03c92e5381051502c675989b4834e18d48622059a94ee",
    },
  },
  {
    userId: 12,
    firstName: "Omar",
    lastName: "Haddad",
    password: {
      salt: "9b1d33f2a0c4",
      hash: "6b6bbd00a5b0690af1da25d8d7098402e2e682e8470505dcca53d1989e40ec49",
    },
  },
];

const CUSTOMERS = [
  { name: "Aguada Foods", salesPerson: 7, totalPurchase: 91_200 },
  { name: "Bits & Pieces", salesPerson: 7, totalPurchase: 12_400 },
  { name: "Corner Shop", salesPerson: 7, totalPurchase: 40_050 },
  { name: "Dunes Hotel", salesPerson: 7, totalPurchase: 133_700 },
  { name: "Elm Street Books", salesPerson: 12, totalPurchase: 8_900 },
  { name: "Ferry Line", salesPerson: 12, totalPurchase: 77_000 },
];

/** @param {number} userId */
export const salesPerson = (userId) => SALES_PERSONS.find((person) => person.userId === userId);

/** The customers of a salesperson who bought most, the best first. */
export function topCustomers(userId, count) {
  return CUSTOMERS.filter((customer) => customer.salesPerson === userId)
    .sort((one, other) => other.totalPurchase - one.totalPurchase)
    .slice(0, count)
    .map(({ name, totalPurchase }) => ({ name, totalPurchase }));
}

/** Whether a password is the one of this hash. Without a hash it takes as long, and never is. */
export async function verify(password, { salt, hash } = { salt: "00", hash: "" }) {
  const found = await derive(password, Uint8Array.fromHex(salt));
  let difference = found.length ^ hash.length;
  for (let at = 0; at < found.length; at += 1) {
    difference |= found.charCodeAt(at) ^ hash.charCodeAt(at % (hash.length || 1));
  }
  return difference === 0;
}

/** One block of PBKDF2, as hex. */
async function derive(password, salt) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const bytes = new TextEncoder().encode(password);
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
  const sign = async (content) => new Uint8Array(await crypto.subtle.sign("HMAC", key, content));
  let block = await sign(new Uint8Array([...salt, 0, 0, 0, 1]));
  const sum = block.slice();
  for (let round = 1; round < ROUNDS; round += 1) {
    block = await sign(block);
    for (let at = 0; at < sum.length; at += 1) sum[at] ^= block[at];
  }
  return sum.toHex();
}
