// What does the official TypeScript client see? One JSON object, which the test compares.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ apiKey: "any", baseURL: process.argv[2] });
const say = (content, more = {}) => ({ model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user", content }], ...more });
const tools = [{ name: "get_weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

async function refused(promise, facts) {
  try {
    await promise;
  } catch (error) {
    return [error.constructor.name, error.status, ...facts(error)];
  }
  return "no error";
}

const message = await client.messages.create(say("Hello"));
const stream = client.messages.stream(say("Hello"));
let streamed = "";
stream.on("text", (text) => (streamed += text));
await stream.finalMessage();
const pieces = await client.messages.stream(say("pieces")).finalMessage();
const asked = await client.messages.stream(say("weather", { tools })).finalMessage();
const counted = await client.messages.countTokens({ model: "claude-haiku-4-5", messages: [{ role: "user", content: "Hello" }] });

const refusal = await client.messages.stream(say("poison")).finalMessage();
const broken = await client.messages.stream(say("middle")).finalMessage().then(() => "no error", (error) => error.constructor.name);
const listed = [];
for await (const model of client.models.list({ limit: 3 })) listed.push(model.id);
// Overloaded once, and asked again by the client itself.
const retried = await client.messages.create(say("again"));

console.log(
  JSON.stringify({
    text: message.content[0].text,
    usage: [message.usage.input_tokens, message.usage.output_tokens],
    streamed,
    pieces: pieces.content[0].text,
    call: asked.content.find((block) => block.type === "tool_use").input,
    stop: asked.stop_reason,
    counted: counted.input_tokens,
    limited: await refused(client.messages.create(say("limited"), { maxRetries: 0 }), (error) => [error.headers.get("retry-after")]),
    missing: await refused(client.messages.create(say("Hello", { model: "claude-of-next-year" }), { maxRetries: 0 }), () => []),
    retried: retried.content[0].text,
    broken,
    refusal: [refusal.stop_reason, refusal.stop_details.category, refusal.content.length],
    model: (await client.models.retrieve("claude-haiku-4-5")).id,
    models: listed.length > 3 && new Set(listed).size === listed.length,
    bad: await refused(client.messages.create(say("Hello", { messages: [] }), { maxRetries: 0 }), (error) => [error.error.error.type]),
  }),
);
