// Erlang's formulas B and C: the two probabilities that every many-server queue is built from.
//
// All functions are pure and cost O(sqrt(servers)) once `servers` is in the thousands, so 1e5
// servers are no dearer than a few hundred. Load is offered load in erlangs: arrival rate times
// mean service time. Servers may be fractional (Jagers and van Doorn, "On the continued Erlang loss
// function", 1986), which is what a mean over a changing worker count needs. An argument outside
// its range gives NaN: the stations in model/queueing.h check first and answer with words.
#ifndef MODEL_ERLANG_H
#define MODEL_ERLANG_H

#define ERLANG_SERVERS_MAX 1e7

// Probability that an arrival finds all servers busy and is lost (M/M/c/c, and by insensitivity
// M/G/c/c). 0 <= servers <= ERLANG_SERVERS_MAX, load >= 0 and finite.
double erlang_b(double servers, double load);

// Probability that an arrival has to wait (M/M/c). Needs 0 <= load < servers; 1 at load >= servers,
// where everybody waits.
double erlang_c(double servers, double load);

// Smallest whole number of servers with erlang_b(n, load) <= blocking, 0 < blocking <= 1; and with
// erlang_c(n, load) <= waiting. NaN where ERLANG_SERVERS_MAX would not do.
double erlang_b_servers(double load, double blocking);
double erlang_c_servers(double load, double waiting);

#endif
