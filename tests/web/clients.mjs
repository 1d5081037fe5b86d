// npm's openai against a running server: node clients.mjs URL [KEY]
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key ?? "none" });
const png = base64 => Buffer.from(base64, "base64");
const isPng = bytes => bytes.subarray(0, 8).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]));
let done = 0;
async function test(name, run) {
  await run();
  done++;
  console.log(`ok ${name}`);
}

if (key) {
  await test("a wrong key is an AuthenticationError", () =>
    assert.rejects(new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong" }).models.list(), OpenAI.AuthenticationError));
}

await test("models: list, retrieve, NotFoundError", async () => {
  const models = (await client.models.list()).data;
  assert.equal(models[0].object, "model");
  const model = await client.models.retrieve(models[0].id);
  assert.ok(model.nextpatch.classes.includes("heart"));
  await assert.rejects(client.models.retrieve("none"), OpenAI.NotFoundError);
});

await test("generate: n images, usage, request id", async () => {
  const answer = await client.images.generate({ prompt: "heart", n: 3, seed: 7, size: "32x32", user: "somebody", quality: "high" });
  assert.equal(answer.data.length, 3);
  assert.ok(answer.data.every(image => isPng(png(image.b64_json)) && image.seed === 7));
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
  assert.match(answer._request_id, /^req_/);
  const again = await client.images.generate({ prompt: "heart", seed: 7 });
  assert.equal(again.data[0].b64_json, answer.data[0].b64_json);
});

await test("generate: url and jpeg", async () => {
  const answer = await client.images.generate({ prompt: "heart", response_format: "url", output_format: "jpeg", output_compression: 80 });
  const file = await fetch(answer.data[0].url);
  assert.equal(file.headers.get("content-type"), "image/jpeg");
  assert.deepEqual([...new Uint8Array(await file.arrayBuffer()).subarray(0, 2)], [0xff, 0xd8]);
});

await test("stream: partial images, then the image", async () => {
  const whole = await client.images.generate({ prompt: "heart", seed: 7 });
  for (const count of [0, 1, 3]) {
    const events = [];
    for await (const event of await client.images.generate({ prompt: "heart", seed: 7, stream: true, partial_images: count })) events.push(event);
    assert.deepEqual(events.map(e => e.type), [...Array(count).fill("image_generation.partial_image"), "image_generation.completed"]);
    events.slice(0, -1).forEach((e, i) => assert.equal(e.partial_image_index, i));
    assert.ok(events.every(e => isPng(png(e.b64_json)) && e.size === "32x32" && e.output_format === "png" && e.created_at > 0));
    assert.equal(events.at(-1).b64_json, whole.data[0].b64_json);
    assert.ok(events.at(-1).usage.output_tokens > 0);
  }
});

await test("stream: n images, one completed event each", async () => {
  const events = [];
  for await (const event of await client.images.generate({ prompt: "heart", n: 4, stream: true, partial_images: 2 })) events.push(event);
  assert.deepEqual(events.filter(e => e.type.endsWith("completed")).map(e => e.index).sort(), [0, 1, 2, 3]);
});

await test("edit: with a mask, and streamed", async () => {
  const whole = png((await client.images.generate({ prompt: "heart", seed: 7 })).data[0].b64_json);
  const fields = async () => ({ prompt: "heart", seed: 8, image: await toFile(whole, "image.png", { type: "image/png" }) });
  const hole = await maskOf(32);
  const answer = await client.images.edit({ ...(await fields()), mask: await toFile(hole, "mask.png", { type: "image/png" }), n: 2 });
  assert.equal(answer.data.length, 2);
  const events = [];
  const edit = { ...(await fields()), mask: await toFile(hole, "mask.png", { type: "image/png" }), stream: true, partial_images: 1 };
  for await (const event of await client.images.edit(edit)) events.push(event.type);
  assert.deepEqual(events, ["image_edit.partial_image", "image_edit.completed"]);
});

await test("errors: the classes that clients know, all four keys", async () => {
  const wrong = async (fields, type, status) => {
    const error = await client.images.generate(fields).then(() => null, e => e);
    assert.ok(error instanceof type, `${JSON.stringify(fields)} gave ${error}`);
    assert.equal(error.status, status);
    assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
  };
  await wrong({ prompt: "no such thing" }, OpenAI.BadRequestError, 400);
  await wrong({ prompt: "heart", size: "1024x1024" }, OpenAI.BadRequestError, 400);
  await wrong({ prompt: "heart", n: 11 }, OpenAI.BadRequestError, 400);
  await wrong({ prompt: "heart", output_format: "gif" }, OpenAI.BadRequestError, 400);
  await wrong({ prompt: "heart", sed: 1 }, OpenAI.BadRequestError, 400);
  await wrong({ prompt: "heart", model: "dall-e-3" }, OpenAI.NotFoundError, 404);
});

if (!key) {
  await test("a full queue is a RateLimitError within 50 ms, and is tried again", async () => {
    const flood = Array.from({ length: 40 }, () => client.images.generate({ prompt: "heart", n: 10 }, { maxRetries: 0 }).then(() => null, e => e));
    const errors = (await Promise.all(flood)).filter(e => e);
    assert.ok(errors.length > 0 && errors.every(e => e instanceof OpenAI.RateLimitError && Number(e.headers.get("retry-after")) >= 1));
    const patient = Array.from({ length: 12 }, () => client.images.generate({ prompt: "heart", n: 10 }, { maxRetries: 8 }));
    assert.ok((await Promise.all(patient)).every(answer => answer.data.length === 10));
  });
}

console.log(`web: ${done} tests with npm's openai passed`);

// A PNG file of alpha 0 in its lower half.
async function maskOf(side) {
  const { deflateSync, crc32 } = await import("node:zlib");
  const crc = crc32 ?? (bytes => {
    let c = ~0;
    for (const b of bytes) { c ^= b; for (let i = 0; i < 8; i++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0); }
    return ~c >>> 0;
  });
  const rows = Buffer.concat(Array.from({ length: side }, (_, y) => {
    const row = Buffer.alloc(1 + side * 4, 255);
    row[0] = 0;
    if (y >= side / 2) for (let x = 0; x < side; x++) row[4 + x * 4] = 0;
    return row;
  }));
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]), frame = Buffer.alloc(4), sum = Buffer.alloc(4);
    frame.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([frame, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  [head[8], head[9]] = [8, 6];
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}
