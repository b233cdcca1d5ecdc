#!/usr/bin/env python3
"""Our simulator beside Ciw and SimPy on M/M/1 at 0.8, in customers a second.

    python3 -m venv venv && venv/bin/pip install ciw==3.2.7 simpy==4.1.2
    venv/bin/python bench/model/peers.py build/release/bench/model/virtual_bench

Rounds take turns, and what is compared is the best of each: the machine's other work only slows
them. The peers' models are what their manuals show for this queue; each checks its own answer (the
mean wait is 4) so that all have simulated the same thing. Without a peer its row is left out.
"""
import random
import re
import subprocess
import sys
import time

ROUNDS = 3
CIW_TIME, SIMPY_CUSTOMERS = 25_000, 100_000

try:
    import ciw
except ImportError:
    ciw = None
try:
    import simpy
except ImportError:
    simpy = None


def check(name, waits):
    mean = sum(waits) / len(waits)
    if not 3 < mean < 5.2:  # 4 is exact; a round this short is within about a quarter of it
        sys.exit(f"{name} waits {mean:.2f} on average instead of 4: not the same model")


def run_ciw(seed):
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=0.8)],
        service_distributions=[ciw.dists.Exponential(rate=1.0)],
        number_of_servers=[1],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    start = time.perf_counter()
    simulation.simulate_until_max_time(CIW_TIME)
    took = time.perf_counter() - start
    waits = [r.waiting_time for r in simulation.get_all_records()]
    check("ciw", waits)
    return len(waits) / took


def run_simpy(seed):
    luck = random.Random(seed)
    env = simpy.Environment()
    server = simpy.Resource(env, capacity=1)
    waits = []

    def customer():
        came = env.now
        with server.request() as turn:
            yield turn
            waits.append(env.now - came)
            yield env.timeout(luck.expovariate(1.0))

    def source():
        for _ in range(SIMPY_CUSTOMERS):
            yield env.timeout(luck.expovariate(0.8))
            env.process(customer())

    env.process(source())
    start = time.perf_counter()
    env.run()
    took = time.perf_counter() - start
    check("simpy", waits)
    return len(waits) / took


def run_ours(program, seed):
    del seed
    text = subprocess.run([program, "1"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"^mm1 .* ([0-9.]+) M customers/s", text, re.M)
    return float(match.group(1)) * 1e6


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    contestants = {"ours": lambda seed: run_ours(sys.argv[1], seed)}
    for name, module, run in (("ciw", ciw, run_ciw), ("simpy", simpy, run_simpy)):
        if module:
            contestants[name] = run
        else:
            print(f"{name} is not installed: left out")
    best = dict.fromkeys(contestants, 0.0)
    for round_ in range(ROUNDS):
        for name, run in contestants.items():
            best[name] = max(best[name], run(round_ + 1))
    for name, rate in best.items():
        ratio = "" if name == "ours" else f"  ours is {best['ours'] / rate:.0f} times as fast"
        print(f"{name:6} {rate:12,.0f} customers/s{ratio}")


if __name__ == "__main__":
    main()
