// xAPIWrapper, by ADL, in browsers: statements, pages, attachments and documents.
import {
  CONTENT_TYPES, activity, agent, attachmentContents, description, hex, newStatement,
} from "./learner.mjs";

export async function run(ADL, { endpoint, key, secret, contents }) {
  const lrs = ADL.XAPIWrapper;
  const auth = `Basic ${btoa(`${key}:${secret}`)}`;
  // Without strictCallbacks, a refused request calls nothing.
  lrs.changeConfig({ endpoint, auth, strictCallbacks: true, withCredentials: false });

  // A method of the client as a promise of the request. The callback precedes attachments.
  function call(method, args, attachments = []) {
    return new Promise((resolve) => {
      lrs[method](...args, (error, request) => resolve(request), ...attachments);
    });
  }

  const json = (request) => JSON.parse(request.responseText);
  const ids = (request) => json(request).statements.map((statement) => statement.id);

  async function statements() {
    const sent = [1, 2, 3, 4].map(() => newStatement());
    await call("sendStatement", [sent[0]]);
    await call("sendStatement", [sent[0]]); // a retry
    await call("sendStatements", [sent.slice(1)]);
    const one = await call("getStatements", [{ statementId: sent[0].id }, null]);
    const query = { ...lrs.searchParams(), agent: JSON.stringify(agent), limit: 3 };
    const pages = [await call("getStatements", [query, null])];
    while (json(pages.at(-1)).more) {
      pages.push(await call("getStatements", [null, json(pages.at(-1)).more]));
    }
    const invalid = newStatement({ result: { score: { scaled: 2 } } });
    return {
      sent: sent.map((statement) => statement.id),
      one: json(one).id,
      pages: pages.map(ids),
      invalid: (await call("sendStatement", [invalid])).status,
    };
  }

  async function attachments() {
    const sent = attachmentContents(contents);
    const statement = newStatement();
    const attached = sent.map((value, index) => ({ type: description(CONTENT_TYPES[index]), value }));
    const request = await call("sendStatement", [statement], [attached]);
    return { id: statement.id, status: request.status, sent: sent.map(hex) };
  }

  // The ids that precede the document's id are the first arguments. An object is sent by POST, any
  // other value by PUT. A condition is the SHA-1 of the document, or its ETag.
  async function document(kind, subject, registration = []) {
    const send = (id, value, match, noneMatch) =>
      call(`send${kind}`, [...subject, id, ...registration, value, match, noneMatch]);
    const get = (id) => call(`get${kind}`, [...subject, id, ...registration, null]);
    await send("bookmark", { page: 1 }, null, "*");
    const created = await get("bookmark");
    const sha1 = lrs.hash(created.responseText);
    await send("bookmark", { seen: ["ü"] }, sha1, null);
    const merged = await get("bookmark");
    const stale = await send("bookmark", { page: 2 }, sha1, null);
    const quoted = merged.getResponseHeader("ETag"); // the client quotes it again
    const current = await send("bookmark", { page: 1 }, quoted, null);
    await send("a/b?c&d", "text", null, "*");
    const listed = await get(null);
    await call(`delete${kind}`, [...subject, "bookmark", ...registration, null, null]);
    const dropped = await get("bookmark");
    return {
      created: json(created),
      merged: json(merged),
      stale: stale.status,
      current: current.status,
      listed: json(listed).sort(),
      dropped: dropped.status,
    };
  }

  const person = await call("getAgents", [agent]);
  const found = await call("getActivities", [activity.id]);
  return {
    statements: await statements(),
    attachments: await attachments(),
    state: await document("State", [activity.id, agent], [null]),
    activityProfile: await document("ActivityProfile", [activity.id]),
    agentProfile: await document("AgentProfile", [agent]),
    person: json(person),
    activity: json(found),
  };
}
