#!/usr/bin/env python3
"""Draws the losses of a training, from the metrics that `soapstone train --metrics` writes, as SVG.

Usage: plot_metrics.py METRICS.jsonl CURVE.svg [--title TEXT] [--baseline LOSS]

Where the metrics have a perplexity, the loss is its logarithm: the mean over the labels that count.
Line: the loss of every step, averaged over a hundredth of the training. Dots: evaluations on the test
part. Dashed: a loss that is to be beaten.
"""

import argparse
import html
import json
import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 44


def read(path):
    """(step, training loss) averaged, and (step, test loss)."""
    steps, tests = [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise SystemExit(f"{path}:{number}: no JSON: {error}")
            if entry.get("loss") is None:
                continue
            perplexity = entry.get("perplexity")
            loss = math.log(perplexity) if perplexity else entry["loss"]
            if entry["kind"] == "step":
                steps.append((entry["step"], loss))
            elif entry["kind"] == "evaluation":
                tests.append((entry["step"], loss))
    if not steps:
        raise SystemExit(f"{path}: no step with a loss; accepted: what `soapstone train --metrics` writes")
    width = max(1, len(steps) // 100)
    groups = [steps[k : k + width] for k in range(0, len(steps), width)]
    return [tuple(sum(column) / len(group) for column in zip(*group)) for group in groups], tests


def ticks(low, high):
    """About five round numbers."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def draw(steps, tests, title, baseline):
    losses = [loss for _, loss in steps + tests] + ([baseline] if baseline else [])
    low, high = min(losses), max(losses)
    low, high = low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)
    last = max(step for step, _ in steps + tests)

    def x(step):
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>',
    ]
    for loss in ticks(low, high):
        out.append(f'<path d="M{LEFT} {y(loss):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:g}</text>')
    for step in ticks(0, last):
        out.append(f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{step:g}</text>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">step</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">loss: line training, dots test</text>')
    if baseline:
        out.append(
            f'<path d="M{LEFT} {y(baseline):.1f}H{WIDTH - RIGHT}" stroke="#a33" stroke-dasharray="5 4"/>'
            f'<text x="{WIDTH - RIGHT}" y="{y(baseline) - 5:.1f}" text-anchor="end" fill="#a33">unigram {baseline:g}</text>'
        )
    points = " ".join(f"{x(step):.1f},{y(loss):.1f}" for step, loss in steps)
    out.append(f'<polyline points="{points}" fill="none" stroke="#369" stroke-width="1.5"/>')
    for step, loss in tests:
        out.append(f'<circle cx="{x(step):.1f}" cy="{y(loss):.1f}" r="4" fill="#d60"/>')
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics")
    parser.add_argument("curve")
    parser.add_argument("--title", default="")
    parser.add_argument("--baseline", type=float)
    arguments = parser.parse_args()
    steps, tests = read(arguments.metrics)
    with open(arguments.curve, "w", encoding="utf-8") as file:
        file.write(draw(steps, tests, arguments.title or arguments.metrics, arguments.baseline))


if __name__ == "__main__":
    main()
