// An agent in JavaScript: perfwright agent emit examples/agent_js/agents.toml normalise '{"url": " HTTP://Example.ORG/a "}'
export default function (event, state, ctx) {
    const url = String(event.data?.url ?? "").trim();
    if (url === "") {
        throw new Error("an event needs a url");
    }
    const number = (state.get("seen") ?? 0) + 1;
    state.set("seen", number);
    const [, scheme, host, path] = /^([a-z]+):\/\/([^/]+)(.*)$/i.exec(url) ?? [];
    if (!scheme) {
        throw new Error(`"${url}" is no URL`);
    }
    ctx.log(`normalised ${url}`);
    return { url: `${scheme.toLowerCase()}://${host.toLowerCase()}${path || "/"}`, number };
}
