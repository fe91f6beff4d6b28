// TinCanJS, by Rustici Software: statements, pages, attachments and documents.
import {
  activity, agent, CONTENT_TYPES, attachmentContents, description, hex, newStatement,
} from "./learner.mjs";

export async function run(TinCan, { endpoint, key, secret, contents }) {
  const lrs = new TinCan.LRS({ endpoint, username: key, password: secret, allowFail: false });
  const subject = { agent: new TinCan.Agent(agent), activity: new TinCan.Activity(activity) };

  // A method of the client as a promise. Its configuration, with the callback, is the last argument.
  function call(method, ...args) {
    const configuration = args.pop();
    return new Promise((resolve, reject) => {
      function callback(error, result) {
        if (error === null) resolve(result);
        else reject(Object.assign(new Error(`${method}: ${result?.responseText}`), { status: error }));
      }
      lrs[method](...args, { ...configuration, callback });
    });
  }

  const ids = (result) => result.statements.map((statement) => statement.id);

  async function statements() {
    const sent = [1, 2, 3, 4].map(() => new TinCan.Statement(newStatement()));
    await call("saveStatement", sent[0], {});
    await call("saveStatement", sent[0], {}); // a retry
    await call("saveStatements", sent.slice(1), {});
    const one = await call("retrieveStatement", sent[0].id, {});
    const pages = [await call("queryStatements", { params: { agent: subject.agent, limit: 3 } })];
    while (pages.at(-1).more) {
      pages.push(await call("moreStatements", { url: pages.at(-1).more }));
    }
    const invalid = new TinCan.Statement(newStatement({ result: { score: { scaled: 2 } } }));
    return {
      sent: ids({ statements: sent }),
      one: one.id,
      pages: pages.map(ids),
      invalid: await failure(call("saveStatement", invalid, {})),
    };
  }

  async function attachments() {
    const sent = attachmentContents(contents);
    const statement = new TinCan.Statement(
      newStatement({
        attachments: sent.map((content, index) => ({
          ...description(CONTENT_TYPES[index]),
          content,
        })),
      }),
    );
    await call("saveStatement", statement, {});
    const params = { attachments: true };
    const one = await call("retrieveStatement", statement.id, { params });
    const page = await call("queryStatements", { params: { ...params, limit: 1 } });
    return {
      id: statement.id,
      sent: sent.map(hex),
      one: one.attachments.map((attachment) => hex(attachment.content)),
      page: page.statements[0].attachments.map((attachment) => hex(attachment.content)),
    };
  }

  // The methods have the name of the document's kind: saveState, retrieveActivityProfile.
  async function documents(kind, configuration) {
    const json = { ...configuration, contentType: "application/json" };
    await call(`save${kind}`, "bookmark", { page: 1 }, json);
    const created = await call(`retrieve${kind}`, "bookmark", configuration);
    const lastSHA1 = created.etag;
    await call(`save${kind}`, "bookmark", { seen: ["ü"] }, { ...json, method: "POST", lastSHA1 });
    const merged = await call(`retrieve${kind}`, "bookmark", configuration);
    const stale = await failure(call(`save${kind}`, "bookmark", {}, { ...json, lastSHA1 }));
    await call(`save${kind}`, "a/b?c&d", "text", { ...configuration, contentType: "text/plain" });
    const listed = await call(`retrieve${kind}Ids`, configuration);
    await call(`drop${kind}`, "bookmark", configuration);
    const dropped = await call(`retrieve${kind}`, "bookmark", configuration);
    return {
      created: created.contents,
      merged: merged.contents,
      stale,
      listed: listed.sort(),
      dropped: dropped === null ? null : dropped.contents,
    };
  }

  async function failure(promise) {
    try {
      await promise;
      return null;
    } catch (error) {
      return error.status;
    }
  }

  return {
    about: (await call("about", {})).version,
    statements: await statements(),
    attachments: await attachments(),
    state: await documents("State", subject),
    activityProfile: await documents("ActivityProfile", { activity: subject.activity }),
    agentProfile: await documents("AgentProfile", { agent: subject.agent }),
  };
}
