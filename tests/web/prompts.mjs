// npm's openai against a server of a model that takes prompts: node prompts.mjs URL
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none" });
const model = await client.models.retrieve((await client.models.list()).data[0].id);
assert.ok(model.nextpatch.prompts && model.nextpatch.classes.length === 0);

const prompt = "a picture of a <small> red star, von hier, 日本";
const answer = await client.images.generate({ prompt, n: 2, seed: 7 });
assert.deepEqual(answer.data.map(image => image.revised_prompt), [prompt, prompt]);
const other = await client.images.generate({ prompt: "a green moon", seed: 7 });
assert.notEqual(other.data[0].b64_json, answer.data[0].b64_json);
const events = [];
for await (const event of await client.images.generate({ prompt, seed: 7, stream: true, partial_images: 2 })) events.push(event);
assert.equal(events.length, 3);
assert.equal(events[2].b64_json, answer.data[0].b64_json);
await assert.rejects(client.images.generate({ prompt: "a star", class_id: 1 }), OpenAI.BadRequestError);
await assert.rejects(client.images.generate({ prompt: "" }), OpenAI.BadRequestError);
console.log("web: a model of prompts with npm's openai passed");
