// What an answer is for handlers, whichever codec carries it.
#include "net/server_conn.h"

bool http_reply_began(const HttpReply *reply)
{
    return reply->began;
}

bool reply_body_allowed(const HttpReply *reply)
{
    return reply->status >= 200 && reply->status != 204 && reply->status != 304;
}

bool reply_is_to_head(const HttpReply *reply)
{
    return reply->request && slice_eq(reply->request->method, SLICE("HEAD"));
}

int http_reply_header(HttpReply *reply, Slice name, Slice value, Err *e)
{
    if (reply->began) {
        return err_set(e, ERR_ARG, "header '%.*s' comes after the answer began", SLICE_FMT(name));
    }
    if (!http_is_token(name) || !http_is_field_value(value)) {
        return err_set(e, ERR_ARG, "header '%.*s' has a name or value that HTTP cannot carry",
                       SLICE_FMT(name));
    }
    if (http_head_add(&reply->work->reply, name, value) != 0) {
        return err_set(e, ERR_LIMIT, "too many headers in the answer");
    }
    return 0;
}

static int begin(HttpReply *reply, int status, Slice type, Err *e)
{
    if (reply->began) {
        return err_set(e, ERR_ARG, "the request is answered already");
    }
    reply->began = true;
    reply->status = status;
    if (!http_is_field_value(type)) {
        return reply->rc = err_set(e, ERR_ARG, "the content type has control characters");
    }
    return 0;
}

int http_reply_send(HttpReply *reply, int status, Slice type, Slice body, Err *e)
{
    int rc = begin(reply, status, type, e);
    if (rc != 0) {
        return rc;
    }
    reply->ended = true;
    bool with_body = body.len > 0 && reply_body_allowed(reply) && !reply_is_to_head(reply);
    reply->body_bytes = with_body ? body.len : 0;
    ReplyHead head = {.type = type, .length = (int64_t)body.len};
    return reply->rc = reply->ops->head(reply, &head, with_body ? body : (Slice){NULL, 0}, e);
}

int http_reply_begin(HttpReply *reply, int status, Slice type, Err *e)
{
    int rc = begin(reply, status, type, e);
    if (rc != 0) {
        return rc;
    }
    reply->streaming = true;
    ReplyHead head = {.type = type, .length = -1};
    return reply->rc = reply->ops->head(reply, &head, (Slice){NULL, 0}, e);
}

int http_reply_write(HttpReply *reply, Slice piece, Err *e)
{
    if (!reply->streaming || reply->ended) {
        return err_set(e, ERR_ARG, "no body is being written");
    }
    if (reply->rc != 0 || piece.len == 0 || !reply_body_allowed(reply) || reply_is_to_head(reply)) {
        return reply->rc; // an empty chunk would end the body
    }
    reply->body_bytes += piece.len;
    return reply->rc = reply->ops->piece(reply, piece, e);
}

int http_reply_end(HttpReply *reply, Err *e)
{
    if (!reply->streaming || reply->ended) {
        return reply->rc;
    }
    reply->ended = true;
    return reply->rc == 0 ? reply->rc = reply->ops->end(reply, e) : reply->rc;
}

void http_reply_abort(HttpReply *reply)
{
    reply->began = true;
    reply->ended = true;
    reply->keep_alive = false;
    reply->rc = reply->rc != 0 ? reply->rc : ERR_CLOSED;
}

bool http_reply_is_gone(const HttpReply *reply)
{
    return reply->gone || reply->rc != 0;
}

void reply_wake(HttpReply *reply, bool gone)
{
    reply->gone = reply->gone || gone;
    if (reply->wake_fn) {
        reply->wake_fn(reply->wake_ctx);
    }
}

HttpServerRequest server_request_of(const ServerConn *conn, const ServerWork *w)
{
    HttpServerRequest request = {
        .method = slice_from_cstr(w->head.method),
        .target = http_head_line(&w->head),
        .head = &w->head,
        .body = buf_slice(&w->body),
        .peer = conn->tcp->peer,
        .tls = conn->server->options.tls != NULL,
        .received_ns = loop_clock(conn->stream->loop),
        .server = conn->server,
    };
    if (!slice_cut(request.target, '?', &request.path, &request.query)) {
        request.query = (Slice){NULL, 0};
    }
    return request;
}

int server_answer(HttpReply *reply)
{
    HttpServer *server = reply->conn->server;
    server->options.handler(server->options.ctx, reply->request, reply);
    if (!reply->began) {
        return http_reply_send(reply, 500, SLICE("text/plain"), SLICE("500 no answer\n"), NULL);
    }
    return http_reply_end(reply, NULL);
}

void server_report(const HttpReply *reply, int64_t begin_ns)
{
    const HttpServerOptions *o = &reply->conn->server->options;
    if (o->event_fn) {
        HttpServerEvent event = {
            .request = reply->request,
            .status = reply->status,
            .body_bytes = reply->body_bytes,
            .duration_ns = loop_clock(o->loop) - begin_ns,
        };
        o->event_fn(o->ctx, &event);
    }
}
