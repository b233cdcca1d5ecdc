// The six workloads of bench/agent on AgenticGoKit's public core API, so that both runtimes can be
// measured in turn. One line of JSON a workload:
//
//	agentgokit [-seconds S] [WORKLOAD...]
//
// The runner is the default one with its default hooks and trace; logging is off (no provider is
// registered, so its logger does nothing). The peer has no deadline, metrics or retry policy to turn
// on: what it does an event is less than what it is compared with.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/agenticgokit/agenticgokit/core"
	_ "github.com/agenticgokit/agenticgokit/plugins/orchestrator/default"
	_ "github.com/agenticgokit/agenticgokit/plugins/runner/default"
)

const queueSize = 4096

type measure struct {
	Workload    string  `json:"workload"`
	Events      int64   `json:"events"`
	EventsPerS  float64 `json:"events_per_s"`
	NsPerEvent  float64 `json:"ns_per_event"`
	AllocsEvent float64 `json:"allocations_per_event"`
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "agentgokit:", err)
		os.Exit(1)
	}
}

func event(target string) core.Event {
	return core.NewEvent(target, core.EventData{"n": 1},
		map[string]string{core.RouteMetadataKey: target, core.SessionIDKey: "bench"})
}

// same hands its state on, as the smallest agent does; `ran` counts.
func same(ran *atomic.Int64) core.AgentHandler {
	return core.AgentHandlerFunc(
		func(_ context.Context, _ core.Event, state core.State) (core.AgentResult, error) {
			ran.Add(1)
			return core.AgentResult{OutputState: state}, nil
		})
}

func start(agents map[string]core.AgentHandler) core.Runner {
	runner := core.NewRunnerWithConfig(core.RunnerConfig{QueueSize: queueSize, Agents: agents})
	fail(runner.Start(context.Background()))
	return runner
}

// timed calls step until the time is over, in rounds whose clock reading costs nothing beside them.
func timed(name string, limit time.Duration, round int, step func(n int) int64) measure {
	step(round) // warm
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	var events int64
	for time.Since(begin) < limit {
		events += step(round)
	}
	elapsed := time.Since(begin)
	runtime.ReadMemStats(&after)
	return measure{name, events, float64(events) / elapsed.Seconds(),
		float64(elapsed.Nanoseconds()) / float64(events),
		float64(after.Mallocs-before.Mallocs) / float64(events)}
}

func await(counter *atomic.Int64, want int64) {
	for counter.Load() < want {
		runtime.Gosched()
	}
}

// Emit to handler: one producer, one agent, no event given up. Routing is what its default
// orchestrator does with every event, so that "route" is the same.
func emitted(name string, limit time.Duration) measure {
	var ran atomic.Int64
	runner := start(map[string]core.AgentHandler{"sink": same(&ran)})
	defer runner.Stop()
	return timed(name, limit, 1000, func(n int) int64 {
		want := ran.Load() + int64(n)
		for i := 0; i < n; i++ {
			fail(runner.Emit(event("sink")))
		}
		await(&ran, want)
		return int64(n)
	})
}

// Ping-pong: two agents that route to each other through the runner's queue.
func pingPong(limit time.Duration) measure {
	var ran, left atomic.Int64
	to := func(other string) core.AgentHandler {
		return core.AgentHandlerFunc(
			func(_ context.Context, _ core.Event, state core.State) (core.AgentResult, error) {
				ran.Add(1)
				out := state.Clone()
				if left.Add(-1) > 0 {
					out.SetMeta(core.RouteMetadataKey, other)
				} else {
					out.SetMeta(core.RouteMetadataKey, "")
				}
				return core.AgentResult{OutputState: out}, nil
			})
	}
	runner := start(map[string]core.AgentHandler{"ping": to("pong"), "pong": to("ping")})
	defer runner.Stop()
	return timed("ping-pong", limit, 1000, func(n int) int64 {
		want := ran.Load() + int64(n)
		left.Store(int64(n))
		fail(runner.Emit(event("ping")))
		await(&ran, want)
		return int64(n)
	})
}

// team measures an orchestrator behind the runner: an event is one run of all its agents. Its events
// name no route, as that would send the result round again.
func team(name, kind string, agents, iterations int, limit time.Duration) measure {
	var ran atomic.Int64
	var names []string
	for i := 0; i < agents; i++ {
		names = append(names, fmt.Sprintf("agent-%d", i))
	}
	runner := core.NewRunnerWithConfig(core.RunnerConfig{QueueSize: queueSize}).(*core.RunnerImpl)
	orchestrator, err := core.NewOrchestrator(core.OrchestratorConfig{Type: kind, AgentNames: names,
		CollaborativeAgentNames: names, MaxIterations: iterations}, runner.GetCallbackRegistry())
	fail(err)
	runner.SetOrchestrator(orchestrator)
	for _, agent := range names {
		fail(runner.RegisterAgent(agent, same(&ran)))
	}
	fail(runner.Start(context.Background()))
	defer runner.Stop()
	runs := int64(agents)
	if iterations > 0 {
		runs *= int64(iterations)
	}
	return timed(name, limit, 500, func(n int) int64 {
		want := ran.Load() + runs*int64(n)
		for i := 0; i < n; i++ {
			fail(runner.Emit(core.NewEvent(names[0], core.EventData{"n": 1},
				map[string]string{core.SessionIDKey: "bench"})))
		}
		await(&ran, want)
		return int64(n)
	})
}

func main() {
	seconds := flag.Float64("seconds", 2, "length of each workload")
	flag.Parse()
	limit := time.Duration(*seconds * float64(time.Second))
	workloads := []struct {
		name string
		run  func() measure
	}{
		{"one-to-one", func() measure { return emitted("one-to-one", limit) }},
		{"ping-pong", func() measure { return pingPong(limit) }},
		{"route", func() measure { return emitted("route", limit) }},
		{"sequential x5", func() measure { return team("sequential x5", "sequential", 5, 0, limit) }},
		{"parallel x10", func() measure { return team("parallel x10", "collaborative", 10, 0, limit) }},
		{"loop x10", func() measure { return team("loop x10", "loop", 1, 10, limit) }},
	}
	for _, workload := range workloads {
		wanted := flag.NArg() == 0
		for _, name := range flag.Args() {
			wanted = wanted || name == workload.name
		}
		if wanted {
			fail(json.NewEncoder(os.Stdout).Encode(workload.run()))
		}
	}
}
