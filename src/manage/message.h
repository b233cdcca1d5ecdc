// Message: what agents say to each other about performance, and its JSON form, which is the body of
// a bus message today and can be the payload of NATS or the data part of A2A tomorrow
// (docs/internals/bus.md).
//
//     Message m = {.type = MESSAGE_PROPOSE, .negotiation = id, .round = 1, ...};
//     message_write(&m, &body);
//     rc = message_read(arena, body, &m, e);     // strict: every mistake at its place
//
// Each type has the fields that MESSAGE_FIELDS names for it and no others. A message borrows all
// its text; what message_read returns lives in the arena.
//
// All durations are relative ("for_ns"), because the clocks of two agents need not agree.
#ifndef MANAGE_MESSAGE_H
#define MANAGE_MESSAGE_H

#include "ledger/proposal.h"

enum {
    MESSAGE_VERSION = 1,
    MESSAGE_BYTES_MAX = 1 << 20,
    MESSAGE_ARENA_MAX = 128 << 20, // that reading the largest message may take
    MESSAGE_ID_MAX = 127,          // of negotiations
    MESSAGE_NAME_MAX = 255,
    MESSAGE_TEXT_MAX = 4096,
    MESSAGE_CHANGES_MAX = 64,
    MESSAGE_CONSTRAINTS_MAX = 64,
};

typedef enum MessageType {
    // What one knows of the other.
    MESSAGE_ANNOUNCE, // here is my interface, unasked
    MESSAGE_QUERY,    // what would you do under ...?
    MESSAGE_ANSWER,
    MESSAGE_METRICS, // what I measured
    MESSAGE_JOIN,    // I am here, as the incarnation `token`
    MESSAGE_LEAVE,   // I am going: my leases and my grants end now
    // Proposer to owner, and the owner's answers.
    MESSAGE_PROPOSE, // change these; answer within for_ns
    MESSAGE_ACCEPT,  // leased for for_ns under `token`: nobody else gets it until then
    MESSAGE_REJECT,  // no, for `reason`; a plan that keeps to `constraints` may do
    MESSAGE_COUNTER, // not that, but these changes
    MESSAGE_DEFER,   // wait up to for_ns more: I am negotiating `child` about it
    MESSAGE_COMMIT,  // apply it now
    MESSAGE_APPLIED, // done; `changes` are the old values
    MESSAGE_FAILED,  // could not; or the token is not the newest; or the lease is gone
    MESSAGE_RENEW,   // I still want it
    MESSAGE_RENEWED,
    MESSAGE_KEEP, // it did what it promised: the change outlives the lease
    MESSAGE_KEPT,
    // Release the lease; where it was applied, back to the old values. With a token: KEEP was sent
    // before, so an owner that does not remember must not say WITHDRAWN.
    MESSAGE_WITHDRAW,
    MESSAGE_WITHDRAWN,
    MESSAGE_TYPES,
} MessageType;
extern const char *const MESSAGE_TYPE_NAMES[MESSAGE_TYPES + 1]; // "propose", ..., NULL

typedef enum MessageReason {
    REASON_NONE,
    REASON_OBJECTIVE,    // my own objective would be violated
    REASON_BYSTANDER,    // somebody else's would
    REASON_UNSTABLE,     // it would not come back after a spike
    REASON_RANGE,        // a value is out of what I allow
    REASON_NOT_OWNER,    // not mine to change
    REASON_UNKNOWN,      // no such parameter or agent
    REASON_BUSY,         // leased to somebody else
    REASON_STALE,        // the token, round or lease is not the newest
    REASON_DEPTH,        // asked through too many agents
    REASON_DEADLINE,     // no time left to decide
    REASON_OVERLOADED,   // too many negotiations at once
    REASON_DEPENDENCY,   // the agents that I would have to ask said no
    REASON_CONTRADICTED, // measurements contradict what was predicted
    REASON_APPLY,        // the change could not be made
    REASON_LEFT,         // a party left
    REASON_REFUSED,      // a person or a fixed policy said no
    REASON_MALFORMED,    // the request makes no sense
    REASON_NO_ANSWER,    // a party did not answer in time
    REASONS,
} MessageReason;
extern const char *const MESSAGE_REASON_NAMES[REASONS + 1];

typedef enum MessageDirection {
    DIRECTION_NONE,
    DIRECTION_UPSTREAM,   // to one that calls me
    DIRECTION_DOWNSTREAM, // to one that I call
    DIRECTION_PEER,       // to one that shares a dependency with me
    DIRECTIONS,
} MessageDirection;
extern const char *const MESSAGE_DIRECTION_NAMES[DIRECTIONS + 1];

// "a->b.retry.attempts" = "2", "d.limit.value" = "30", "a->b.program" = "...": values in the form
// that the parameter's table reads (durations with their unit).
typedef struct MessageChange {
    Slice param;
    Slice value;
} MessageChange;

typedef enum ConstraintOp {
    CONSTRAINT_AT_LEAST,
    CONSTRAINT_AT_MOST,
    CONSTRAINT_EQUAL,
    CONSTRAINT_UNCHANGED, // leave it as it is; no value
    CONSTRAINT_OPS,
} ConstraintOp;
extern const char *const CONSTRAINT_OP_NAMES[CONSTRAINT_OPS + 1];

// What the next plan must keep to, or (in a PROPOSE) what the recipient is asked to bring about:
// "b->c.timeout.attempt" at least "1s"; "batch.p99" at most "4" (a client's measure, in seconds).
typedef struct MessageConstraint {
    Slice subject; // a parameter, or "client.measure", or "edge.measure"
    ConstraintOp op;
    Slice value; // empty with CONSTRAINT_UNCHANGED
} MessageConstraint;

typedef struct Message {
    MessageType type;
    Slice negotiation; // all messages of one negotiation share it
    Slice root;        // the negotiation that all of this serves; its own id at depth 0
    Slice child;       // DEFER
    uint32_t round;    // from 1
    uint32_t depth;    // 0: nobody asked the proposer
    int64_t for_ns;    // PROPOSE: how long an answer is waited for; leases: how long they hold
    uint64_t token;    // fencing token of a lease; JOIN, LEAVE: the incarnation
    MessageReason reason;
    MessageDirection direction;
    Slice text; // for people: why
    MessageChange *changes;
    size_t change_count;
    MessageConstraint *constraints;
    size_t constraint_count;
    ProposalEstimates predicted;
    Slice document; // JSON: an interface, a query, an answer, metrics; PROPOSE: the whole plan
} Message;

typedef enum MessageField {
    FIELD_NEGOTIATION = 1 << 0,
    FIELD_ROOT = 1 << 1,
    FIELD_CHILD = 1 << 2,
    FIELD_ROUND = 1 << 3,
    FIELD_DEPTH = 1 << 4,
    FIELD_FOR = 1 << 5,
    FIELD_TOKEN = 1 << 6,
    FIELD_REASON = 1 << 7,
    FIELD_DIRECTION = 1 << 8,
    FIELD_TEXT = 1 << 9,
    FIELD_CHANGES = 1 << 10,
    FIELD_CONSTRAINTS = 1 << 11,
    FIELD_PREDICTED = 1 << 12,
    FIELD_DOCUMENT = 1 << 13,
} MessageField;

typedef struct MessageFields {
    unsigned required, optional; // masks of MessageField
} MessageFields;
extern const MessageFields MESSAGE_FIELDS[MESSAGE_TYPES];

// Appends compact JSON, optional fields only where they say something. Fields
// that the type does not have are left out. Check the Buf.
void message_write(const Message *m, Buf *out);
// ERR_PARSE at line and column; ERR_VERSION for a newer one; ERR_LIMIT.
MUST_USE int message_read(Arena *arena, Slice json, Message *ret_message, Err *e);
// A deep copy.
Message message_copy(Arena *arena, const Message *m);

// The agent or edge that a parameter is of: "a->b" of "a->b.retry.attempts", "d" of "d.servers".
// That is also the unit of leasing: policies of one place work on each other.
Slice message_place(Slice param);

#endif
