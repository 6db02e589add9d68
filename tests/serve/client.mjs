// OpenAI's own JavaScript client against our server: what it says goes to standard output as one JSON object.
import OpenAI, { BadRequestError } from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "hello the abc" }];
const told = {};

const whole = await client.chat.completions.create({ model: "tiny", messages, temperature: 0, max_tokens: 12 });
told.whole = whole.choices[0].message.content;
told.streamed = "";
const stream = await client.chat.completions.create({
  model: "tiny", messages, temperature: 0, max_tokens: 12, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  told.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) told.tokens = chunk.usage.completion_tokens;
}

const parameters = {
  type: "object", properties: { city: { type: "string", maxLength: 6 } }, required: ["city"], additionalProperties: false,
};
const called = await client.chat.completions.create({
  model: "tiny", messages, max_tokens: 300, seed: 1, parallel_tool_calls: false, tool_choice: "required",
  tools: [{ type: "function", function: { name: "weather", parameters } }],
});
told.arguments = JSON.parse(called.choices[0].message.tool_calls[0].function.arguments);

const response = await client.responses.create({ model: "tiny", input: "hello", temperature: 0, max_output_tokens: 8 });
told.response = (await client.responses.retrieve(response.id)).output_text === response.output_text;
told.embedding = (await client.embeddings.create({ model: "tiny", input: "hello" })).data[0].embedding.length;
told.models = (await client.models.list()).data.map((model) => model.id);

try {
  await client.chat.completions.create({ model: "tiny", messages, made_up: 1 });
} catch (error) {
  told.refused = error instanceof BadRequestError && error.message.includes("made_up");
}

const long = await client.completions.create({
  model: "tiny", prompt: "hello", max_tokens: 900, ignore_eos: true, stream: true,
});
for await (const _ of long) break; // leaving the loop hangs up
console.log(JSON.stringify(told));
