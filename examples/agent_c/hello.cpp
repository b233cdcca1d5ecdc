// The same header from C++:  c++ -o hello hello.cpp $(pkg-config --cflags --libs perfwright)
#include <perfwright/agent.h>

#include <cstdio>
#include <string>

static int hello(PwContext *ctx, const PwEvent *event, PwState *)
{
    std::size_t length = 0;
    const char *data = pw_event_data(event, &length);
    const std::string answer = "hello " + std::string(data, length);
    return pw_reply(ctx, answer.data(), answer.size());
}

int main()
{
    PwRunner *runner = nullptr;
    PwResult *result = nullptr;
    PwError error = PW_ERROR_INIT;
    PwAgentOptions agent = PW_AGENT_OPTIONS_INIT;
    PwEventOptions event = PW_EVENT_OPTIONS_INIT;
    agent.name = "hello";
    agent.run = hello;
    event.target = "hello";
    event.data = "world";
    event.data_length = 5;
    int rc = 1;
    if (pw_runner_create(nullptr, &runner, &error) == 0 &&
        pw_runner_register(runner, &agent, &error) == 0 && pw_runner_start(runner, &error) == 0 &&
        pw_runner_call(runner, &event, &result, &error) == 0) {
        std::printf("%s\n", pw_result_data(result, nullptr));
        rc = 0;
    } else {
        std::fprintf(stderr, "%s\n", error.text);
    }
    pw_result_destroy(result);
    pw_runner_destroy(runner);
    return rc;
}
