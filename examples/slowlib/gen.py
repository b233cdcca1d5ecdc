#!/usr/bin/env python3
"""gen.py KIND SEED SIZE: inputs of the workloads, on standard output."""
import random
import sys


def word(numbers):
    return "".join(numbers.choices("abcdefghijklmnopqrstuvwxyz", k=numbers.randint(3, 9)))


def main():
    kind, seed, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    numbers = random.Random(seed)
    if kind == "words":
        lines = [word(numbers) for _ in range(size)]
    elif kind == "numbers":
        lines = [str(numbers.randrange(10 * size + 1)) for _ in range(size)]
    else:
        names = [word(numbers) for _ in range(300)]
        lines = [f"{name}={numbers.randrange(1000)}" for name in names] + [""]
        lines += [numbers.choice(names) if numbers.random() < 0.8 else word(numbers)
                  for _ in range(size)]
    sys.stdout.write("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    main()
