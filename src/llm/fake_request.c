#include "llm/fake_request.h"

enum { BYTES_PER_TOKEN = 4, TOKENS_PER_IMAGE = 85 };

// ---- texts

static void begin_message(FakeRequest *r)
{
    r->text_count = 0;
    r->after_tool = false;
}

static void add_text(FakeRequest *r, Slice text, bool user)
{
    r->prompt_bytes += text.len;
    if (user && r->text_count < FAKE_TEXTS_MAX) {
        r->texts[r->text_count++] = text;
    }
}

static bool is_image(Slice type)
{
    return slice_eq_cstr(type, "image_url") || slice_eq_cstr(type, "input_image") ||
           slice_eq_cstr(type, "image");
}

// A string, or parts that each have a text: how OpenAI and Anthropic write contents. Returns the
// last text.
static Slice read_content(FakeRequest *r, JsonVal *content, bool user)
{
    Slice last = json_text(content);
    if (yyjson_is_str(content)) {
        add_text(r, last, user);
        return last;
    }
    size_t i, n;
    JsonVal *part;
    yyjson_arr_foreach(content, i, n, part)
    {
        Slice type = json_text_at(part, "type");
        if (is_image(type)) {
            r->images++;
        } else if (json_at(part, "text")) {
            last = json_text_at(part, "text");
            add_text(r, last, user);
        }
    }
    return last;
}

static void tool_result(FakeRequest *r, Slice text)
{
    r->after_tool = true;
    r->tool_result = text;
}

static void read_stops(FakeRequest *r, JsonVal *stops)
{
    if (yyjson_is_str(stops)) {
        r->stops[r->stop_count++] = json_text(stops);
        return;
    }
    size_t i, n;
    JsonVal *stop;
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (r->stop_count < FAKE_STOPS_MAX && json_text(stop).len > 0) {
            r->stops[r->stop_count++] = json_text(stop);
        }
    }
}

static void add_tool(FakeRequest *r, Slice name, JsonVal *schema)
{
    if (r->tool_count < FAKE_TOOLS_MAX && name.len > 0) {
        r->tools[r->tool_count++] = (FakeTool){name, schema};
    }
}

// ---- OpenAI

static void read_openai_tools(FakeRequest *r, JsonVal *root)
{
    size_t i, n;
    JsonVal *tool;
    yyjson_arr_foreach(json_at(root, "tools"), i, n, tool)
    {
        // Chat Completions and Ollama nest the function, Responses does not.
        JsonVal *function = json_at(tool, "function");
        function = function ? function : tool;
        add_tool(r, json_text_at(function, "name"), json_at(function, "parameters"));
    }
    JsonVal *choice = json_at(root, "tool_choice");
    if (slice_eq_cstr(json_text(choice), "none")) {
        r->tool_choice = FAKE_TOOLS_NONE;
    } else if (slice_eq_cstr(json_text(choice), "required")) {
        r->tool_choice = FAKE_TOOLS_REQUIRED;
    } else if (yyjson_is_obj(choice)) {
        JsonVal *function = json_at(choice, "function");
        r->tool_choice = FAKE_TOOLS_REQUIRED;
        r->tool_wanted = json_text_at(function ? function : choice, "name");
    }
}

// `format` is {"type":"json_schema", ...}; Chat Completions nests the schema once more.
static void read_openai_format(FakeRequest *r, JsonVal *format)
{
    Slice type = json_text_at(format, "type");
    if (slice_eq_cstr(type, "json_object")) {
        r->json = true;
    } else if (slice_eq_cstr(type, "json_schema")) {
        JsonVal *nested = json_at(format, "json_schema");
        r->json = true;
        r->schema = json_at(nested ? nested : format, "schema");
    }
}

static void read_role_message(FakeRequest *r, JsonVal *message)
{
    Slice role = json_text_at(message, "role");
    bool user = slice_eq_cstr(role, "user");
    bool tool = slice_eq_cstr(role, "tool");
    if (user || tool || slice_eq_cstr(role, "assistant")) {
        begin_message(r);
    }
    Slice text = read_content(r, json_at(message, "content"), user);
    r->images += yyjson_arr_size(json_at(message, "images")); // Ollama
    if (tool) {
        tool_result(r, text);
    } else if (slice_eq_cstr(role, "system") || slice_eq_cstr(role, "developer")) {
        r->system_text = text;
    }
}

static int read_messages(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    JsonVal *messages = json_at(root, "messages");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0) {
        *ret_param = "messages";
        return err_set(e, ERR_ARG, "'messages' must be an array with at least one message.");
    }
    size_t i, n;
    JsonVal *message;
    yyjson_arr_foreach(messages, i, n, message)
    {
        if (json_text_at(message, "role").len == 0) {
            *ret_param = "messages";
            return err_set(e, ERR_ARG, "messages[%zu]: 'role' is missing.", i);
        }
        read_role_message(r, message);
    }
    return 0;
}

static int read_chat(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    r->stream = json_is_true_at(root, "stream");
    r->include_usage = json_is_true_at(json_at(root, "stream_options"), "include_usage");
    r->max_tokens = json_int_at(root, "max_completion_tokens", json_int_at(root, "max_tokens", -1));
    int64_t choices = json_int_at(root, "n", 1);
    if (choices < 1 || choices > FAKE_CHOICES_MAX) {
        *ret_param = "n";
        return err_set(e, ERR_ARG, "'n' must be between 1 and %d.", FAKE_CHOICES_MAX);
    }
    r->choices = (int)choices;
    read_stops(r, json_at(root, "stop"));
    read_openai_tools(r, root);
    read_openai_format(r, json_at(root, "response_format"));
    return read_messages(r, root, ret_param, e);
}

static void read_input_item(FakeRequest *r, JsonVal *item)
{
    if (slice_eq_cstr(json_text_at(item, "type"), "function_call_output")) {
        begin_message(r);
        JsonVal *output = json_at(item, "output");
        tool_result(r, read_content(r, output, false));
    } else if (json_at(item, "role")) {
        read_role_message(r, item);
    } else {
        begin_message(r); // the model's own: a function_call or reasoning
    }
}

static int read_responses(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    r->stream = json_is_true_at(root, "stream");
    r->max_tokens = json_int_at(root, "max_output_tokens", -1);
    r->system_text = json_text_at(root, "instructions");
    r->prompt_bytes += r->system_text.len;
    read_openai_tools(r, root);
    read_openai_format(r, json_at(json_at(root, "text"), "format"));
    JsonVal *input = json_at(root, "input");
    if (yyjson_is_str(input)) {
        add_text(r, json_text(input), true);
        return 0;
    }
    if (!yyjson_is_arr(input) || yyjson_arr_size(input) == 0) {
        *ret_param = "input";
        return err_set(e, ERR_ARG, "Missing required parameter: 'input'.");
    }
    size_t i, n;
    JsonVal *item;
    yyjson_arr_foreach(input, i, n, item)
    {
        read_input_item(r, item);
    }
    return 0;
}

// ---- Anthropic

static void read_anthropic_message(FakeRequest *r, JsonVal *message)
{
    bool user = slice_eq_cstr(json_text_at(message, "role"), "user");
    JsonVal *content = json_at(message, "content");
    begin_message(r);
    (void)read_content(r, content, user);
    size_t i, n;
    JsonVal *block;
    yyjson_arr_foreach(content, i, n, block)
    {
        if (slice_eq_cstr(json_text_at(block, "type"), "tool_result")) {
            tool_result(r, read_content(r, json_at(block, "content"), false));
        }
    }
}

static void read_anthropic_tools(FakeRequest *r, JsonVal *root)
{
    size_t i, n;
    JsonVal *tool;
    yyjson_arr_foreach(json_at(root, "tools"), i, n, tool)
    {
        add_tool(r, json_text_at(tool, "name"), json_at(tool, "input_schema"));
    }
    JsonVal *choice = json_at(root, "tool_choice");
    Slice type = json_text_at(choice, "type");
    if (slice_eq_cstr(type, "any") || slice_eq_cstr(type, "tool")) {
        r->tool_choice = FAKE_TOOLS_REQUIRED;
        r->tool_wanted = json_text_at(choice, "name");
    } else if (slice_eq_cstr(type, "none")) {
        r->tool_choice = FAKE_TOOLS_NONE;
    }
}

static int read_anthropic(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    r->stream = json_is_true_at(root, "stream");
    r->max_tokens = json_int_at(root, "max_tokens", -1);
    if (r->max_tokens < 1) {
        *ret_param = "max_tokens";
        return err_set(e, ERR_ARG, "max_tokens: %s",
                       json_at(root, "max_tokens") ? "must be greater than or equal to 1"
                                                   : "Field required");
    }
    r->system_text = read_content(r, json_at(root, "system"), false);
    read_stops(r, json_at(root, "stop_sequences"));
    read_anthropic_tools(r, root);
    JsonVal *format = json_at(json_at(root, "output_config"), "format");
    format = format ? format : json_at(root, "output_format");
    read_openai_format(r, format);
    JsonVal *messages = json_at(root, "messages");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0) {
        *ret_param = "messages";
        return err_set(e, ERR_ARG, "messages: at least one message is required");
    }
    size_t i, n;
    JsonVal *message;
    yyjson_arr_foreach(messages, i, n, message)
    {
        read_anthropic_message(r, message);
    }
    return 0;
}

// ---- Gemini

static Slice read_parts(FakeRequest *r, JsonVal *content, bool user)
{
    Slice last = {NULL, 0};
    size_t i, n;
    JsonVal *part;
    yyjson_arr_foreach(json_at(content, "parts"), i, n, part)
    {
        if (json_at(part, "text")) {
            last = json_text_at(part, "text");
            add_text(r, last, user);
        } else if (json_at(part, "inlineData") || json_at(part, "fileData")) {
            r->images++;
        } else if (json_at(part, "functionResponse")) {
            JsonVal *answer = json_at(json_at(part, "functionResponse"), "response");
            // By convention {"output": ...} or {"result": ...}.
            tool_result(r, json_text_at(answer, json_at(answer, "output") ? "output" : "result"));
        }
    }
    return last;
}

static void read_gemini_tools(FakeRequest *r, JsonVal *root)
{
    size_t i, n, j, m;
    JsonVal *group, *tool;
    yyjson_arr_foreach(json_at(root, "tools"), i, n, group)
    {
        yyjson_arr_foreach(json_at(group, "functionDeclarations"), j, m, tool)
        {
            JsonVal *schema = json_at(tool, "parametersJsonSchema");
            add_tool(r, json_text_at(tool, "name"), schema ? schema : json_at(tool, "parameters"));
        }
    }
    JsonVal *config = json_at(json_at(root, "toolConfig"), "functionCallingConfig");
    Slice mode = json_text_at(config, "mode");
    if (slice_eq_cstr(mode, "ANY")) {
        r->tool_choice = FAKE_TOOLS_REQUIRED;
        r->tool_wanted = json_text(yyjson_arr_get_first(json_at(config, "allowedFunctionNames")));
    } else if (slice_eq_cstr(mode, "NONE")) {
        r->tool_choice = FAKE_TOOLS_NONE;
    }
}

static void read_generation_config(FakeRequest *r, JsonVal *config)
{
    r->max_tokens = json_int_at(config, "maxOutputTokens", -1);
    r->json = slice_eq_cstr(json_text_at(config, "responseMimeType"), "application/json");
    JsonVal *schema = json_at(config, "responseJsonSchema");
    r->schema = schema ? schema : json_at(config, "responseSchema");
    int64_t choices = json_int_at(config, "candidateCount", 1);
    r->choices = choices < 1 ? 1 : choices > FAKE_CHOICES_MAX ? FAKE_CHOICES_MAX : (int)choices;
    read_stops(r, json_at(config, "stopSequences"));
}

static int read_gemini(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    JsonVal *contents = json_at(root, "contents");
    if (!yyjson_is_arr(contents) || yyjson_arr_size(contents) == 0) {
        *ret_param = "contents";
        return err_set(e, ERR_ARG,
                       "* GenerateContentRequest.contents: contents is not specified\n");
    }
    r->system_text = read_parts(r, json_at(root, "systemInstruction"), false);
    read_generation_config(r, json_at(root, "generationConfig"));
    read_gemini_tools(r, root);
    size_t i, n;
    JsonVal *content;
    yyjson_arr_foreach(contents, i, n, content)
    {
        Slice role = json_text_at(content, "role");
        begin_message(r);
        (void)read_parts(r, content, role.len == 0 || slice_eq_cstr(role, "user"));
    }
    return 0;
}

// ---- Ollama

static void read_ollama_common(FakeRequest *r, JsonVal *root)
{
    JsonVal *stream = json_at(root, "stream");
    JsonVal *options = json_at(root, "options");
    JsonVal *format = json_at(root, "format");
    r->stream = !yyjson_is_false(stream); // on by default
    r->max_tokens = json_int_at(options, "num_predict", -1);
    r->json = yyjson_is_obj(format) || slice_eq_cstr(json_text(format), "json");
    r->schema = yyjson_is_obj(format) ? format : NULL;
    read_stops(r, json_at(options, "stop"));
}

static int read_ollama_chat(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    read_ollama_common(r, root);
    read_openai_tools(r, root);
    return read_messages(r, root, ret_param, e);
}

static int read_ollama_generate(FakeRequest *r, JsonVal *root, const char **ret_param, Err *e)
{
    (void)ret_param;
    (void)e;
    read_ollama_common(r, root);
    r->system_text = json_text_at(root, "system");
    r->prompt_bytes += r->system_text.len;
    r->images += yyjson_arr_size(json_at(root, "images"));
    add_text(r, json_text_at(root, "prompt"), true);
    return 0;
}

// ---- all

// The tables of texts and tools are not cleared: their counts are.
static void reset(FakeRequest *r)
{
    r->model = r->system_text = r->tool_result = r->tool_wanted = (Slice){NULL, 0};
    r->stream = r->include_usage = r->after_tool = r->json = false;
    r->text_count = r->tool_count = r->stop_count = 0;
    r->tool_choice = FAKE_TOOLS_AUTO;
    r->schema = NULL;
    r->max_tokens = -1;
    r->choices = 1;
    r->prompt_bytes = r->images = 0;
}

int fake_request_read(FakeProtocol protocol, JsonVal *root, Slice path_model, FakeRequest *r,
                      const char **ret_param, Err *e)
{
    reset(r);
    *ret_param = NULL;
    if (!yyjson_is_obj(root)) {
        return err_set(e, ERR_ARG, "The body must be a JSON object.");
    }
    r->model = path_model.len > 0 ? path_model : json_text_at(root, "model");
    if (r->model.len == 0) {
        *ret_param = "model";
        return err_set(e, ERR_ARG,
                       protocol == FAKE_ANTHROPIC ? "model: Field required"
                                                  : "you must provide a model parameter");
    }
    switch (protocol) {
    case FAKE_OPENAI_CHAT: return read_chat(r, root, ret_param, e);
    case FAKE_OPENAI_RESPONSES: return read_responses(r, root, ret_param, e);
    case FAKE_ANTHROPIC: return read_anthropic(r, root, ret_param, e);
    case FAKE_GEMINI: return read_gemini(r, root, ret_param, e);
    case FAKE_OLLAMA_CHAT: return read_ollama_chat(r, root, ret_param, e);
    case FAKE_OLLAMA_GENERATE: return read_ollama_generate(r, root, ret_param, e);
    case FAKE_PROTOCOLS: break;
    }
    return err_set(e, ERR_ARG, "no such protocol");
}

int64_t fake_request_tokens(const FakeRequest *r)
{
    uint64_t text = (r->prompt_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    uint64_t tokens = text + r->images * TOKENS_PER_IMAGE;
    return tokens > 0 ? (int64_t)tokens : 1;
}

const FakeTool *fake_request_tool(const FakeRequest *r, Slice name)
{
    for (size_t i = 0; i < r->tool_count; i++) {
        if (name.len == 0 || slice_eq(r->tools[i].name, name)) {
            return &r->tools[i];
        }
    }
    return NULL;
}
