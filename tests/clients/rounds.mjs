// For each line on standard input: one event of every call, numbered by that line. At its end: flush and leave.
import readline from "node:readline";

const [, , , , name] = process.argv;
const person = { userId: `canary-user-${name}`, anonymousId: `canary-anon-${name}` };

const context = {
  consent: { purposes: { analytics: true } },
  ip: "203.0.113.7",
  userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
};

function calls(n) {
  return [
    ["identify", { ...person, traits: { n, client: name }, context }],
    ["track", { ...person, event: "Order Completed", properties: { n, revenue: 19.99, currency: "EUR" }, context }],
    ["page", { ...person, category: "Docs", name: "Pricing", properties: { n, url: "https://shop.example/pricing" }, context }],
    ["screen", { ...person, category: "App", name: "Start", properties: { n }, context }],
    ["group", { ...person, groupId: "canary-group-1", traits: { n }, context }],
    ["alias", { userId: person.userId, previousId: person.anonymousId, context }],
  ];
}

export async function follow(send, finish) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    for (const [call, message] of calls(Number(line))) send(call, message);
    console.log(`sent ${line}`);
  }
  await finish();
}
