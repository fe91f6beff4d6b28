// adl-xapiwrapper, ADL's client for Node: statements, pages and documents. It sends no attachments.
import { activity, agent, newStatement } from "./learner.mjs";

export async function run({ XAPIWrapper, hash }, { endpoint, key, secret }) {
  const lrs = new XAPIWrapper({ url: endpoint, auth: { user: key, pass: secret } });

  // A method of the client as a promise of the response. The callback is its last argument.
  function call(method, ...args) {
    return new Promise((resolve, reject) => {
      lrs[method](...args, (error, response) => (error ? reject(error) : resolve(response)));
    });
  }

  const json = (response) => JSON.parse(response.body);
  const ids = (response) => json(response).statements.map((statement) => statement.id);

  async function statements() {
    const sent = [1, 2, 3, 4].map(() => newStatement());
    const first = await call("sendStatements", sent[0]);
    await call("sendStatements", sent[0]); // a retry
    await call("sendStatements", sent.slice(1));
    const one = await call("getStatements", { statementId: sent[0].id }, null);
    const query = { agent: JSON.stringify(agent), limit: 3 };
    const pages = [await call("getStatements", query, null)];
    while (json(pages.at(-1)).more) {
      pages.push(await call("getStatements", null, json(pages.at(-1)).more));
    }
    const invalid = newStatement({ result: { score: { scaled: 2 } } });
    return {
      sent: sent.map((statement) => statement.id),
      response: json(first),
      one: json(one).id,
      pages: pages.map(ids),
      invalid: (await call("sendStatements", invalid)).statusCode,
    };
  }

  // The ids that precede the document's id are the first arguments. An object is sent by POST, any
  // other value by PUT. A condition is the SHA-1 of the document, or its ETag.
  async function document(kind, subject, registration = []) {
    const send = (id, value, match, noneMatch) =>
      call(`send${kind}`, ...subject, id, ...registration, value, match, noneMatch);
    const get = (id) => call(`get${kind}`, ...subject, id, ...registration, null);
    await send("bookmark", { page: 1 }, null, "*");
    const created = await get("bookmark");
    const sha1 = `"${hash(created.body)}"`;
    await send("bookmark", { seen: ["ü"] }, sha1, null);
    const merged = await get("bookmark");
    const stale = await send("bookmark", { page: 2 }, created.headers.etag, null);
    await send("a/b?c&d", "text", null, "*");
    const listed = await get(null);
    return {
      created: json(created),
      merged: json(merged),
      stale: stale.statusCode,
      listed: json(listed).sort(),
    };
  }

  const person = await call("getAgents", agent);
  const found = await call("getActivities", activity.id);
  return {
    reachable: await new Promise((resolve) => lrs.testConfig(resolve)),
    statements: await statements(),
    state: await document("State", [activity.id, agent], [null]),
    activityProfile: await document("ActivityProfile", [activity.id]),
    agentProfile: await document("AgentProfile", [agent]),
    person: json(person),
    activity: json(found),
  };
}
