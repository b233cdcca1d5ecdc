// The official SDKs against `perfwright fake-llm`: whatever they cannot read, the fake says wrongly.
//
//     node fake_llm_sdk.mjs BASE_URL MODULES_DIRECTORY
//
// fake_llm_sdk_test.py starts the fake with fake_llm_sdk.yaml, whose rules answer what is asked here.
// Prints "ok NAME" or "FAIL NAME: why" for each case and ends with 1 when one failed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, modules] = process.argv.slice(2);
const require = createRequire(pathToFileURL(modules + "/"));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);

const { default: OpenAI, AzureOpenAI, toFile } = await load("openai");
const { default: Anthropic } = await load("@anthropic-ai/sdk");
const { GoogleGenAI, ApiError } = await load("@google/genai");
const { Ollama } = await load("ollama");

const cases = [];
const test = (name, run) => cases.push([name, run]);
// A shape that tells errors apart: class, status, and whether the provider's words came through.
const failure = async (promise) => {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    assert.fail("no error was raised");
};

const user = (content) => [{ role: "user", content }];
const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const person = {
    type: "object",
    properties: {
        name: { type: "string" },
        age: { type: "integer", minimum: 18 },
        tags: { type: "array", items: { enum: ["a", "b"] }, minItems: 2 },
    },
    required: ["name", "age", "tags"],
    additionalProperties: false,
};
const isPerson = (text) => {
    const value = JSON.parse(text);
    assert.equal(typeof value.name, "string");
    assert.ok(Number.isInteger(value.age) && value.age >= 18);
    assert.ok(value.tags.length >= 2 && value.tags.every((tag) => tag === "a"));
};
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// ---- OpenAI

const openai = new OpenAI({ baseURL: base + "/v1", apiKey: "k", maxRetries: 0 });

for (const [name, client] of [
    ["openai", openai],
    ["azure dated", new AzureOpenAI({ endpoint: base, apiKey: "k", apiVersion: "2024-10-21", deployment: "gpt-d", maxRetries: 0 })],
    ["azure v1", new OpenAI({ baseURL: base + "/openai/v1", apiKey: "k", maxRetries: 0 })],
]) {
    test(`${name}: chat`, async () => {
        const { data, response, request_id } = await client.chat.completions
            .create({ model: "gpt-x", messages: user("echo this") }).withResponse();
        assert.equal(data.choices[0].message.content, "You said: echo this");
        assert.equal(data.choices[0].finish_reason, "stop");
        assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
        assert.ok(data.usage.completion_tokens > 0);
        assert.match(request_id, /^req_/);
        assert.equal(response.headers.get("x-ratelimit-remaining-requests"), "9999");
    });
    test(`${name}: chat stream`, async () => {
        const stream = client.chat.completions.stream({
            model: "gpt-x", messages: user("echo a few words"), stream_options: { include_usage: true } });
        let text = "";
        stream.on("content", (piece) => (text += piece));
        const done = await stream.finalChatCompletion();
        assert.equal(text, "You said: echo a few words");
        assert.equal(done.choices[0].message.content, text);
        assert.equal((await stream.totalUsage()).completion_tokens, done.usage.completion_tokens);
    });
    test(`${name}: embeddings`, async () => {
        const both = await client.embeddings.create({ model: "e", input: ["one", "two", "one"], dimensions: 64 });
        const [a, b, c] = both.data.map((d) => d.embedding);
        assert.equal(a.length, 64);
        assert.deepEqual(a, c);
        assert.notDeepEqual(a, b);
        assert.ok(Math.abs(a.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
        const plain = await client.embeddings.create({ model: "e", input: "one", dimensions: 64, encoding_format: "float" });
        plain.data[0].embedding.forEach((x, i) => assert.ok(Math.abs(x - a[i]) < 1e-6));
    });
}

test("openai: tools, there and back", async () => {
    for (const stream of [false, true]) {
        const asked = [];
        const run = openai.chat.completions.runTools({
            model: "gpt-x", stream, messages: user("the weather in Paris?"),
            tools: [{ type: "function", function: {
                name: "get_weather", parameters: weather, parse: JSON.parse,
                function: ({ city }) => { asked.push(city); return "sunny"; } } }],
        });
        assert.equal(await run.finalContent(), "Take a hat.");
        assert.deepEqual(asked, ["Paris"]);
    }
});
test("openai: a call is made where one is required", async () => {
    const done = await openai.chat.completions.create({
        model: "gpt-x", messages: user("hello"), tool_choice: "required",
        tools: [{ type: "function", function: { name: "find", parameters: person } }] });
    const [call] = done.choices[0].message.tool_calls;
    assert.equal(done.choices[0].finish_reason, "tool_calls");
    assert.equal(call.function.name, "find");
    isPerson(call.function.arguments);
});
test("openai: structured output, images, choices, stop, limit", async () => {
    const done = await openai.chat.completions.parse({
        model: "gpt-x", n: 2,
        messages: [{ role: "user", content: [
            { type: "text", text: "who is it?" },
            { type: "image_url", image_url: { url: "data:image/png;base64," + pixel } }] }],
        response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } } });
    assert.equal(done.choices.length, 2);
    isPerson(done.choices[1].message.content);
    assert.ok(done.usage.prompt_tokens > 85);
    const cut = await openai.chat.completions.create({ model: "gpt-x", messages: user("talk"), max_completion_tokens: 3 });
    assert.equal(cut.choices[0].finish_reason, "length");
    assert.equal(cut.usage.completion_tokens, 3);
    const stopped = await openai.chat.completions.create({ model: "gpt-x", messages: user("echo one two"), stop: [" two"] });
    assert.equal(stopped.choices[0].message.content, "You said: echo one");
});
test("openai: responses", async () => {
    const done = await openai.responses.create({ model: "gpt-x", input: "echo me" });
    assert.equal(done.output_text, "You said: echo me");
    assert.equal(done.status, "completed");
    assert.equal((await openai.responses.retrieve(done.id)).output_text, done.output_text);
    assert.equal((await openai.responses.inputTokens.count({ model: "gpt-x", input: "x".repeat(80) })).input_tokens, 20);
    await openai.responses.delete(done.id);
    assert.ok((await failure(openai.responses.retrieve(done.id))) instanceof OpenAI.NotFoundError);
    const shaped = await openai.responses.create({ model: "gpt-x", input: "who?", text: {
        format: { type: "json_schema", name: "person", schema: person } } });
    isPerson(shaped.output_text);
});
test("openai: responses stream with tools", async () => {
    const tools = [{ type: "function", name: "get_weather", parameters: weather, strict: true }];
    const stream = openai.responses.stream({ model: "gpt-x", input: "the weather in Paris?", tools });
    const types = [];
    for await (const event of stream) types.push(event.type);
    const first = await stream.finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
    assert.ok(types.includes("response.function_call_arguments.done"));
    assert.equal(types.at(-1), "response.completed");
    const next = openai.responses.stream({ model: "gpt-x", tools, input: [
        { role: "user", content: "the weather in Paris?" }, call,
        { type: "function_call_output", call_id: call.call_id, output: "sunny" }] });
    let text = "";
    next.on("response.output_text.delta", (event) => (text += event.delta));
    assert.equal((await next.finalResponse()).output_text, "Take a hat.");
    assert.equal(text, "Take a hat.");
});
test("openai: errors have their classes and words", async () => {
    for (const [status, type] of [
        [400, OpenAI.BadRequestError], [401, OpenAI.AuthenticationError], [403, OpenAI.PermissionDeniedError],
        [404, OpenAI.NotFoundError], [409, OpenAI.ConflictError], [422, OpenAI.UnprocessableEntityError],
        [429, OpenAI.RateLimitError], [500, OpenAI.InternalServerError], [503, OpenAI.InternalServerError]]) {
        const error = await failure(openai.chat.completions.create({ model: "m", messages: user(`fail with ${status}`) }));
        assert.ok(error instanceof type, `${status} is ${error.constructor.name}`);
        assert.equal(error.status, status);
        assert.match(error.message, /on purpose/);
    }
    const empty = await failure(openai.chat.completions.create({ model: "m", messages: [] }));
    assert.equal(empty.status, 400);
    assert.equal(empty.param, "messages");
    assert.equal(empty.type, "invalid_request_error");
    const missing = await failure(openai.models.retrieve("nobody"));
    assert.equal(missing.code, "model_not_found");
});
test("openai: 429 is retried, insufficient_quota is not", async () => {
    const patient = openai.withOptions({ maxRetries: 2 });
    const done = await patient.chat.completions.create({ model: "m", messages: user("flaky openai") });
    assert.equal(done.choices[0].message.content, "At last.");
    const error = await failure(patient.chat.completions.create({ model: "m", messages: user("quota") }));
    assert.equal(error.code, "insufficient_quota");
});
test("openai: broken answers are errors", async () => {
    for (const stream of [false, true]) {
        const broken = async (words) => {
            const answer = await openai.chat.completions.create({ model: "m", messages: user(words), stream });
            if (stream) for await (const piece of answer) piece.id;
            else assert.ok(answer.choices);
        };
        assert.ok(await failure(broken("please disconnect")));
        assert.ok(await failure(broken("please be malformed")));
        assert.ok(await failure(broken("please fail inside")));
    }
});
test("openai: models", async () => {
    const names = [];
    for await (const model of openai.models.list()) names.push(model.id);
    assert.deepEqual(names, ["gpt-x", "claude-x"]);
});
test("openai: files and batches", async () => {
    const line = (id, body) => JSON.stringify({ custom_id: id, method: "POST", url: "/v1/chat/completions", body });
    const file = await openai.files.create({ purpose: "batch", file: await toFile(Buffer.from([
        line("a", { model: "m", messages: user("echo first") }),
        line("b", { model: "m", messages: user("fail with 500") }),
        line("c", { model: "m", messages: user("echo third") })].join("\n")), "in.jsonl") });
    assert.equal(file.purpose, "batch");
    assert.equal(file.filename, "in.jsonl");
    let batch = await openai.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
    for (let i = 0; batch.status !== "completed" && i < 100; i++) {
        assert.equal(batch.status, "in_progress");
        await new Promise((resolve) => setTimeout(resolve, 50));
        batch = await openai.batches.retrieve(batch.id);
    }
    assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 });
    const lines = async (id) => (await (await openai.files.content(id)).text()).trim().split("\n").map(JSON.parse);
    const good = await lines(batch.output_file_id);
    assert.deepEqual(good.map((l) => l.custom_id), ["a", "c"]);
    assert.equal(good[1].response.body.choices[0].message.content, "You said: echo third");
    const bad = await lines(batch.error_file_id);
    assert.equal(bad[0].response.status_code, 500);
    await openai.files.delete(file.id);
    assert.ok((await failure(openai.files.retrieve(file.id))) instanceof OpenAI.NotFoundError);
});

// ---- Anthropic

const anthropic = new Anthropic({ baseURL: base, apiKey: "k", maxRetries: 0 });
const claude = (content, more) => ({ model: "claude-x", max_tokens: 200, messages: user(content), ...more });

test("anthropic: message", async () => {
    const done = await anthropic.messages.create(claude("echo this", { system: "Be brief." }));
    assert.equal(done.content[0].text, "You said: echo this");
    assert.equal(done.stop_reason, "end_turn");
    assert.ok(done.usage.output_tokens > 0);
    const cut = await anthropic.messages.create({ ...claude("talk"), max_tokens: 2 });
    assert.equal(cut.stop_reason, "max_tokens");
    const stopped = await anthropic.messages.create(claude("echo one two", { stop_sequences: [" two"] }));
    assert.equal(stopped.stop_sequence, " two");
});
test("anthropic: stream", async () => {
    const stream = anthropic.messages.stream(claude("echo some words"));
    let text = "";
    stream.on("text", (piece) => (text += piece));
    const done = await stream.finalMessage();
    assert.equal(text, "You said: echo some words");
    assert.equal(done.content[0].text, text);
    assert.equal(done.stop_reason, "end_turn");
});
test("anthropic: tools, there and back", async () => {
    const tools = [{ name: "get_weather", input_schema: weather }];
    for (const streamed of [false, true]) {
        const ask = (body) => (streamed ? anthropic.messages.stream(body).finalMessage() : anthropic.messages.create(body));
        const first = await ask(claude("the weather in Paris?", { tools }));
        assert.equal(first.stop_reason, "tool_use");
        const use = first.content.find((block) => block.type === "tool_use");
        assert.deepEqual(use.input, { city: "Paris" });
        const second = await ask(claude("", { tools, messages: [
            ...user("the weather in Paris?"), { role: "assistant", content: first.content },
            { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "sunny" }] }] }));
        assert.equal(second.content[0].text, "Take a hat.");
    }
    const forced = await anthropic.messages.create(claude("hello", {
        tools: [{ name: "find", input_schema: person }], tool_choice: { type: "tool", name: "find" } }));
    isPerson(JSON.stringify(forced.content[0].input));
});
test("anthropic: structured output, images, tokens, models", async () => {
    const shaped = await anthropic.messages.create(claude(
        [{ type: "image", source: { type: "base64", media_type: "image/png", data: pixel } }, { type: "text", text: "who?" }],
        { output_config: { format: { type: "json_schema", schema: person } } }));
    isPerson(shaped.content[0].text);
    const counted = await anthropic.messages.countTokens({ model: "claude-x", messages: user("x".repeat(400)) });
    assert.equal(counted.input_tokens, 100);
    const names = [];
    for await (const model of anthropic.models.list()) names.push(model.id);
    assert.deepEqual(names, ["gpt-x", "claude-x"]);
});
test("anthropic: errors have their classes and types", async () => {
    for (const [status, type, name] of [
        [400, Anthropic.BadRequestError, "invalid_request_error"], [401, Anthropic.AuthenticationError, "authentication_error"],
        [403, Anthropic.PermissionDeniedError, "permission_error"], [404, Anthropic.NotFoundError, "not_found_error"],
        [429, Anthropic.RateLimitError, "rate_limit_error"], [500, Anthropic.InternalServerError, "api_error"],
        [529, Anthropic.InternalServerError, "overloaded_error"]]) {
        const error = await failure(anthropic.messages.create(claude(`fail with ${status}`)));
        assert.ok(error instanceof type, `${status} is ${error.constructor.name}`);
        assert.equal(error.error.error.type, name);
        assert.match(error.message, /on purpose/);
        assert.match(error.requestID, /^req_/);
    }
    const missing = await failure(anthropic.messages.create({ model: "m", messages: user("hi") }));
    assert.match(missing.message, /max_tokens/);
    const late = await failure(anthropic.messages.stream(claude("please fail inside")).finalMessage());
    assert.match(late.message, /overloaded/i);
    assert.ok(await failure(anthropic.messages.stream(claude("please disconnect")).finalMessage()));
});
test("anthropic: 429 is retried", async () => {
    const done = await anthropic.withOptions({ maxRetries: 1 }).messages.create(claude("flaky anthropic"));
    assert.equal(done.content[0].text, "At last.");
});
test("anthropic: batches", async () => {
    const params = (content) => ({ model: "claude-x", max_tokens: 50, messages: user(content) });
    let batch = await anthropic.messages.batches.create({ requests: [
        { custom_id: "a", params: params("echo first") }, { custom_id: "b", params: params("fail with 400") }] });
    for (let i = 0; batch.processing_status !== "ended" && i < 100; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        batch = await anthropic.messages.batches.retrieve(batch.id);
    }
    assert.equal(batch.request_counts.succeeded, 1);
    assert.equal(batch.request_counts.errored, 1);
    const results = {};
    for await (const one of await anthropic.messages.batches.results(batch.id)) results[one.custom_id] = one.result;
    assert.equal(results.a.message.content[0].text, "You said: echo first");
    assert.equal(results.b.error.error.type, "invalid_request_error");
    await anthropic.messages.batches.delete(batch.id);
});

// ---- Gemini

const gemini = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: base } });
const model = "gemini-x";

test("gemini: content and stream", async () => {
    const done = await gemini.models.generateContent({ model, contents: "echo this" });
    assert.equal(done.text, "You said: echo this");
    assert.equal(done.candidates[0].finishReason, "STOP");
    assert.equal(done.usageMetadata.totalTokenCount,
        done.usageMetadata.promptTokenCount + done.usageMetadata.candidatesTokenCount);
    let text = "";
    for await (const chunk of await gemini.models.generateContentStream({ model, contents: "echo some words" })) text += chunk.text ?? "";
    assert.equal(text, "You said: echo some words");
});
test("gemini: tools, there and back", async () => {
    const config = { tools: [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: weather }] }] };
    const first = await gemini.models.generateContent({ model, contents: "the weather in Paris?", config });
    assert.deepEqual(first.functionCalls[0].args, { city: "Paris" });
    const second = await gemini.models.generateContent({ model, config, contents: [
        { role: "user", parts: [{ text: "the weather in Paris?" }] }, first.candidates[0].content,
        { role: "user", parts: [{ functionResponse: { name: "get_weather", response: { output: "sunny" } } }] }] });
    assert.equal(second.text, "Take a hat.");
    let calls = 0;
    for await (const chunk of await gemini.models.generateContentStream({ model, contents: "the weather in Paris?", config })) {
        calls += chunk.functionCalls?.length ?? 0;
    }
    assert.equal(calls, 1);
    const forced = await gemini.models.generateContent({ model, contents: "hello", config: { ...config,
        toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["get_weather"] } } } });
    assert.equal(forced.functionCalls[0].name, "get_weather");
});
test("gemini: structured output, images, tokens, embeddings, models", async () => {
    const shaped = await gemini.models.generateContent({ model,
        contents: [{ inlineData: { mimeType: "image/png", data: pixel } }, { text: "who?" }],
        config: { responseMimeType: "application/json", responseSchema: {
            type: "OBJECT", properties: { name: { type: "STRING" }, age: { type: "INTEGER", minimum: 18 },
                tags: { type: "ARRAY", minItems: "2", items: { type: "STRING", enum: ["a", "b"] } } } } } });
    const value = JSON.parse(shaped.text);
    assert.ok(value.age >= 18 && value.tags[0] === "a");
    assert.equal((await gemini.models.countTokens({ model, contents: "x".repeat(40) })).totalTokens, 10);
    const vectors = await gemini.models.embedContent({ model, contents: ["one", "two"], config: { outputDimensionality: 32 } });
    assert.deepEqual(vectors.embeddings.map((e) => e.values.length), [32, 32]);
    const names = [];
    for await (const one of await gemini.models.list()) names.push(one.name);
    assert.deepEqual(names, ["models/gpt-x", "models/claude-x"]);
});
test("gemini: errors", async () => {
    for (const [status, name] of [[400, "INVALID_ARGUMENT"], [403, "PERMISSION_DENIED"], [404, "NOT_FOUND"],
        [429, "RESOURCE_EXHAUSTED"], [500, "INTERNAL"], [503, "UNAVAILABLE"]]) {
        const error = await failure(gemini.models.generateContent({ model, contents: `fail with ${status}` }));
        assert.ok(error instanceof ApiError, error.constructor.name);
        assert.equal(error.status, status);
        assert.match(error.message, new RegExp(name));
    }
    const retrying = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: base, retryOptions: { attempts: 3 } } });
    assert.equal((await retrying.models.generateContent({ model, contents: "flaky gemini" })).text, "At last.");
});
test("gemini: batches", async () => {
    let job = await gemini.batches.create({ model, src: [
        { contents: [{ role: "user", parts: [{ text: "echo first" }] }] },
        { contents: [{ role: "user", parts: [{ text: "fail with 400" }] }] }], config: { displayName: "two" } });
    for (let i = 0; job.state !== "JOB_STATE_SUCCEEDED" && i < 100; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        job = await gemini.batches.get({ name: job.name });
    }
    assert.equal(job.state, "JOB_STATE_SUCCEEDED");
    const [first, second] = job.dest.inlinedResponses;
    assert.equal(first.response.candidates[0].content.parts[0].text, "You said: echo first");
    assert.equal(second.error.code, 400);
});

// ---- Ollama

const ollama = new Ollama({ host: base });

test("ollama: chat, stream, generate", async () => {
    const done = await ollama.chat({ model: "llama", messages: user("echo this") });
    assert.equal(done.message.content, "You said: echo this");
    assert.ok(done.done && done.eval_count > 0);
    let text = "";
    let last;
    for await (const part of await ollama.chat({ model: "llama", messages: user("echo some words"), stream: true })) {
        text += part.message.content;
        last = part;
    }
    assert.equal(text, "You said: echo some words");
    assert.equal(last.done_reason, "stop");
    assert.equal((await ollama.generate({ model: "llama", prompt: "echo me", images: [pixel] })).response, "You said: echo me");
});
test("ollama: tools, format, embeddings, tags, errors", async () => {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];
    const first = await ollama.chat({ model: "llama", messages: user("the weather in Paris?"), tools });
    assert.deepEqual(first.message.tool_calls[0].function.arguments, { city: "Paris" });
    const second = await ollama.chat({ model: "llama", tools, messages: [
        ...user("the weather in Paris?"), first.message, { role: "tool", tool_name: "get_weather", content: "sunny" }] });
    assert.equal(second.message.content, "Take a hat.");
    isPerson((await ollama.chat({ model: "llama", messages: user("who?"), format: person })).message.content);
    const vectors = await ollama.embed({ model: "e", input: ["one", "two"] });
    assert.deepEqual(vectors.embeddings.map((v) => v.length), [768, 768]);
    assert.deepEqual((await ollama.list()).models.map((m) => m.name), ["gpt-x", "claude-x"]);
    const error = await failure(ollama.chat({ model: "llama", messages: user("fail with 404") }));
    assert.equal(error.status_code, 404);
    assert.match(error.message, /on purpose/);
});

// ---- what the model shows of its thinking

const mused = "It is a question of method.";

test("thinking: responses, as an item and in a stream", async () => {
    const done = await openai.responses.create({ model: "gpt-x", input: "think about it" });
    assert.equal(done.output[0].type, "reasoning");
    assert.equal(done.output[0].summary[0].text, mused);
    assert.equal(done.output_text, "Measure it.");
    assert.ok(done.usage.output_tokens_details.reasoning_tokens > 0);
    const stream = openai.responses.stream({ model: "gpt-x", input: "think about it" });
    let thought = "";
    for await (const event of stream) if (event.type === "response.reasoning_summary_text.delta") thought += event.delta;
    assert.equal(thought, mused);
    assert.deepEqual((await stream.finalResponse()).output.map((item) => item.type), ["reasoning", "message"]);
});
test("thinking: anthropic, and sent back", async () => {
    const done = await anthropic.messages.create(claude("think about it"));
    const streamed = anthropic.messages.stream(claude("think about it"));
    let thought = "";
    streamed.on("thinking", (piece) => (thought += piece));
    for (const message of [done, await streamed.finalMessage()]) {
        assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
        assert.equal(message.content[0].thinking, mused);
        assert.match(message.content[0].signature, /^sig/);
        assert.equal(message.content[1].text, "Measure it.");
    }
    assert.equal(thought, mused);
    const next = await anthropic.messages.create(claude("", { messages: [
        ...user("think about it"), { role: "assistant", content: done.content }, ...user("echo so")] }));
    assert.equal(next.content[0].text, "You said: echo so");
});
test("thinking: gemini and ollama", async () => {
    const whole = await gemini.models.generateContent({ model, contents: "think about it" });
    assert.deepEqual(whole.candidates[0].content.parts, [{ thought: true, text: mused }, { text: "Measure it." }]);
    assert.equal(whole.text, "Measure it.");
    assert.equal(whole.usageMetadata.totalTokenCount, whole.usageMetadata.promptTokenCount
        + whole.usageMetadata.candidatesTokenCount + whole.usageMetadata.thoughtsTokenCount);
    let thoughts = 0;
    for await (const chunk of await gemini.models.generateContentStream({ model, contents: "think about it" })) {
        thoughts += chunk.candidates[0].content.parts.filter((part) => part.thought).length;
    }
    assert.equal(thoughts, 1);
    const said = await ollama.chat({ model: "llama", messages: user("think about it"), think: true });
    assert.equal(said.message.thinking, mused);
    let thought = "";
    for await (const part of await ollama.generate({ model: "llama", prompt: "think about it", stream: true })) thought += part.thinking ?? "";
    assert.equal(thought, mused);
});

let failed = 0;
for (const [name, run] of cases) {
    try {
        await run();
        console.log(`ok ${name}`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}: ${error.stack ?? error}`);
    }
}
// cmocka's words, which ./check adds up.
console.log(`[  PASSED  ] ${cases.length - failed} test(s).`);
if (failed) console.log(`[  FAILED  ] ${failed} test(s).`);
process.exit(failed ? 1 : 0);
