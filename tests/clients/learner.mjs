// The learner, the activity and the attachments that every program uses, in Node and in browsers.

export const agent = {
  objectType: "Agent",
  name: "Jürgen",
  mbox: "mailto:learner+1@example.com",
};

export const activity = {
  objectType: "Activity",
  id: "http://example.com/course/1?a=b&c=d",
  definition: { name: { "en-US": "A course", "de-DE": "Ein Kurs" } },
};

export const verb = {
  id: "http://adlnet.gov/expapi/verbs/experienced",
  display: { "en-US": "experienced" },
};

export function newStatement(members = {}) {
  return { id: crypto.randomUUID(), actor: agent, verb, object: activity, ...members };
}

// The contents of two attachments. They have line endings and what looks like a boundary; `binary`
// contents have every byte too.
export function attachmentContents(kind) {
  const line = new TextEncoder().encode("\r\n--boundary--\r\n");
  const text = new TextEncoder().encode("Grüße");
  const bytes = kind === "binary" ? Uint8Array.from({ length: 256 }, (_, value) => value) : text;
  return [
    Uint8Array.of(...line, ...bytes, 13, 10).buffer,
    Uint8Array.of(...bytes, ...bytes, ...line, 45).buffer,
  ];
}

export function description(contentType) {
  return {
    usageType: "http://id.tincanapi.com/attachment/supporting_media",
    display: { "en-US": "Supporting media" },
    contentType,
  };
}

export const CONTENT_TYPES = ["application/octet-stream", "image/png"];

export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function sha256(buffer) {
  return hex(await crypto.subtle.digest("SHA-256", buffer));
}
