// @xapi/xapi: statements, pages, attachments, documents, agents and activities.
import {
  CONTENT_TYPES, activity, agent, attachmentContents, description, hex, newStatement, sha256,
} from "./learner.mjs";

export async function run(XAPI, { endpoint, key, secret, version, adapter, contents }) {
  const xapi = new XAPI({ endpoint, auth: XAPI.toBasicAuth(key, secret), version, adapter });
  const activityId = activity.id;
  const passed = { id: "http://adlnet.gov/expapi/verbs/passed", display: { "en-US": "passed" } };

  const ids = (response) => response.data.statements.map((statement) => statement.id);

  async function statements() {
    const first = newStatement({ result: { duration: "PT1M2.5S" } });
    const batch = [newStatement(), newStatement({ verb: passed }), newStatement()];
    const responses = [
      await xapi.sendStatement({ statement: first }),
      await xapi.sendStatement({ statement: first }), // a retry
      await xapi.sendStatements({ statements: batch }),
    ];
    const one = await xapi.getStatement({ statementId: first.id, useCacheBuster: true });
    const pages = [await xapi.getStatements({ agent, limit: 3, useCacheBuster: true })];
    while (pages.at(-1).data.more) {
      pages.push(await xapi.getMoreStatements({ more: pages.at(-1).data.more }));
    }
    const withVerb = await xapi.getStatements({ verb: passed.id, activity: activityId });
    const since = await xapi.getStatements({ since: one.data.stored, ascending: true });
    await xapi.voidStatement({ actor: agent, statementId: batch[0].id });
    const voided = await xapi.getVoidedStatement({ voidedStatementId: batch[0].id });
    const notVoided = await xapi.getStatements({ format: "ids" });
    const another = { ...first, verb: passed };
    const invalid = { ...first, verb: {} };
    return {
      sent: [first, ...batch].map((statement) => statement.id),
      responses: responses.map((response) => response.data),
      one: one.data.id,
      duration: one.data.result.duration,
      pages: pages.map(ids),
      withVerb: ids(withVerb),
      since: ids(since),
      voided: voided.data.id,
      notVoided: ids(notVoided).length,
      conflict: await failure(xapi.sendStatement({ statement: another })),
      invalid: await failure(xapi.sendStatement({ statement: invalid })),
      version: one.headers["x-experience-api-version"],
    };
  }

  async function attachments() {
    const sent = attachmentContents(contents);
    const described = await Promise.all(
      sent.map(async (content, index) => ({
        ...description(CONTENT_TYPES[index]),
        length: content.byteLength,
        sha2: await sha256(content),
      })),
    );
    const statement = newStatement({ attachments: described });
    await xapi.sendStatement({ statement, attachments: sent });
    return { id: statement.id, sent: sent.map(hex) };
  }

  // The client reads an attachment as one line of text.
  async function textAttachment() {
    const content = new TextEncoder().encode("Grüße").buffer;
    const described = { ...description("text/plain"), length: content.byteLength };
    const statement = newStatement({ attachments: [{ ...described, sha2: await sha256(content) }] });
    await xapi.sendStatement({ statement, attachments: [content] });
    const one = await xapi.getStatement({ statementId: statement.id, attachments: true });
    const page = await xapi.getStatements({ attachments: true, limit: 1 });
    return { one: one.data.slice(1), page: page.data.slice(1) };
  }

  async function state() {
    const document = { agent, activityId, stateId: "bookmark" };
    await xapi.createState({ ...document, state: { page: 1 } });
    const created = await xapi.getState(document);
    const current = { etag: created.headers.etag, matchHeader: "If-Match" };
    await xapi.createState({ ...document, state: { seen: ["ü"] }, ...current });
    const merged = await xapi.getState(document);
    const stale = await failure(xapi.setState({ ...document, state: {}, ...current }));
    const other = { ...document, stateId: "a/b?c&d", contentType: "text/plain" };
    await xapi.setState({ ...other, state: "text", etag: "*", matchHeader: "If-None-Match" });
    const listed = await xapi.getStates({ agent, activityId, useCacheBuster: true });
    await xapi.deleteState(document);
    const dropped = await failure(xapi.getState(document));
    return { created: created.data, merged: merged.data, stale, listed: listed.data.sort(), dropped };
  }

  // The methods have the name of the document's kind: createAgentProfile, setActivityProfile.
  async function profile(kind, subject) {
    const document = { ...subject, profileId: "bookmark" };
    await xapi[`create${kind}`]({ ...document, profile: { page: 1 } });
    const created = await xapi[`get${kind}`](document);
    const current = { etag: created.headers.etag, matchHeader: "If-Match" };
    await xapi[`create${kind}`]({ ...document, profile: { seen: ["ü"] }, ...current });
    const merged = await xapi[`get${kind}`](document);
    const stale = await failure(xapi[`set${kind}`]({ ...document, profile: {}, ...current }));
    const other = { ...document, profileId: "a/b?c&d", profile: { x: 1 } };
    await xapi[`set${kind}`]({ ...other, etag: "*", matchHeader: "If-None-Match" });
    const listed = await xapi[`get${kind}s`](subject);
    await xapi[`delete${kind}`]({ ...document, etag: merged.headers.etag });
    const dropped = await failure(xapi[`get${kind}`](document));
    return { created: created.data, merged: merged.data, stale, listed: listed.data.sort(), dropped };
  }

  async function deletedStates() {
    await xapi.deleteStates({ agent, activityId });
    return (await xapi.getStates({ agent, activityId })).data;
  }

  async function failure(promise) {
    try {
      await promise;
      return null;
    } catch (error) {
      // Through fetch, the client keeps only the text of the response.
      return error.response?.status ?? JSON.parse(error.message).status;
    }
  }

  return {
    about: (await xapi.getAbout({ useCacheBuster: true })).data.version,
    statements: await statements(),
    attachments: await attachments(),
    textAttachment: await textAttachment(),
    state: await state(),
    deletedStates: await deletedStates(),
    activityProfile: await profile("ActivityProfile", { activityId }),
    agentProfile: await profile("AgentProfile", { agent }),
    person: (await xapi.getAgent({ agent, useCacheBuster: true })).data,
    activity: (await xapi.getActivity({ activityId, useCacheBuster: true })).data,
  };
}
