"""Recomputes the tables of plots/*.md with SciPy, from plots/*.csv and the report's numbers, by the rules that src/compare.rs documents.

`python3 tests/tables.py [folder]` prints a line for each kind of table: how many cells, and the largest difference in units of the last digit
printed (rounding alone makes half of one). Where a cell differs by more, it prints row, found and expected, and exits with 1."""

import csv
import re
import sys
import tomllib
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import takewhile
from math import sqrt
from pathlib import Path
from types import SimpleNamespace as Point

from scipy import stats

PLOTS, EXPERIMENTS = (Path(sys.argv[1] if len(sys.argv) > 1 else ".") / name for name in ("plots", "experiments"))
CARD, REPORTED = (tomllib.loads((EXPERIMENTS / f"{name}.toml").read_text()) for name in ("report_card", "reported"))
CATS_DOGS = "cats and dogs, 19998 + 4999 images"
REPORT_DATA = ["MNIST", CATS_DOGS, f"{CATS_DOGS}, own test split"]
MEASURES = {"twice_softmaxed_loss": "cross-entropy of softmax outputs", "loss": "cross-entropy", "accuracy": "accuracy"}
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
failures, counts, largest = [], Counter(), Counter()


def check(table, where, cell, expected):
    """Compares a cell with a text, or each number in it with the expected one, to its last digit."""
    counts[table] += 1
    numbers = [number.replace(",", "") for number in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", cell)]
    if isinstance(expected, str):
        is_right = cell == expected
    else:
        units = [10.0 ** Decimal(number).as_tuple().exponent for number in numbers]
        differences = [abs(float(number) - value) / unit for number, value, unit in zip(numbers, expected, units)]
        largest[table] = max([largest[table], *differences])
        is_right = len(numbers) == len(expected) and all(difference < 0.5 + 1e-6 for difference in differences)
    if not is_right:
        text = expected if isinstance(expected, str) else ", ".join(f"{value:.10g}" for value in expected)
        failures.append(f"{table}: {where}: found {cell or 'nothing'}, expected {text or 'nothing'}")


def rows_of(name):
    with open(PLOTS / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def point(row):
    number = {key: float(row[key]) if row[key] else None for key in ("x", "y", "deviation", "resolution", "seeds")}
    return Point(**row | number)


def tables(path):
    """Title, columns and rows of each table of a page."""
    title, lines = "", path.read_text().splitlines()
    for at, line in enumerate(lines):
        title = line.lstrip("# ") if line.startswith("#") else title
        if line.startswith("|") and not lines[at - 1].startswith("|"):
            head, _, *rows = [
                [cell.strip() for cell in row.strip("|").split("|")] for row in takewhile(lambda row: row.startswith("|"), lines[at:])
            ]
            yield title, head, rows


def curve(example, panel, series, origin="reproduced"):
    return [point for point in POINTS[example] if (point.panel, point.series, point.origin) == (panel, series, origin)]


def words(point, scale=1):
    """Mean, standard deviation and number of seeds, where there are any."""
    return [scale * point.y, *([] if point.deviation is None else [scale * point.deviation]), *([point.seeds] if point.seeds else [])]


def judged(reported, resolution, ours, is_accuracy):
    """Half-width of the interval, share of further runs below the reported one, verdict."""
    n, y, deviation, half_width, falls_at = ours.seeds, ours.y, ours.deviation or 0.0, None, None
    if n > 1:
        spread = deviation * sqrt(1 + 1 / n)
        half_width = resolution + stats.t.ppf(0.975, n - 1) * spread
        falls_at = stats.t.cdf(reported, n - 1, loc=y, scale=spread) if spread else None
    elif n == 1 and is_accuracy and (ours.series, ours.data) == ("validation", CATS_DOGS):
        images = 2999 if ours.panel.startswith("as_published") else 3999
        half_width = resolution + 1.96 * sqrt(y * (1 - y) / images + reported * (1 - reported) / 2999)
    difference, mark = abs(y - reported), "*" if 1 <= n < 5 else ""
    room = min(reported, 1 - reported) if is_accuracy else abs(reported)
    if difference <= resolution < abs(reported) and deviation <= resolution:
        verdict = "equal" + mark
    elif n != 1 and (n == 0 or difference > half_width):
        verdict = "differs" + mark
    elif half_width is None or difference > half_width:
        verdict = "no verdict: one seed"
    elif half_width > room:
        verdict = "too wide to tell"
    else:
        verdict = ("reproduced: two proportions" if n == 1 else "reproduced") + mark
    return half_width, falls_at, verdict


def layers(example, number):
    """The parameters that the report prints: what, reported, resolution, ours."""
    ours = {row["layer"]: int(row["parameters"]) for row in rows_of(example)}
    total, dense = sum(ours.values()), sum(count for layer, count in ours.items() if layer.startswith("FC"))
    printed = [(layer, reported, 0.5, ours[layer]) for layer, reported in number.get("layers", {}).items()]
    share = [("share of FC", number["fully_connected_share"], 5e-4, dense / total)] if "fully_connected_share" in number else []
    return [*printed, ("Total", number["parameters"], 0.5, total), *share]


def comparisons(item):
    """What an item compares: variant, what, reported, resolution, ours, and whether it is an accuracy."""
    example, last = item["example"], {}
    theirs = {(point.panel, point.series, point.x): point for point in POINTS.get(example, []) if point.origin == "reported"}
    if item["compare"] == "plateau":
        end = max((point for point in theirs.values() if point.panel == "as_published_n"), key=lambda point: point.x)
        values = [point.y for point in POINTS[example] if (point.panel, point.origin, point.x) == (end.panel, "reproduced", end.x)]
        ours = Point(y=stats.tmean(values), deviation=stats.tstd(values), seeds=len(values))
        yield "", f"largest difference, softmax taken twice, N = {end.x:g}", end.y, end.resolution, ours, False
    elif item["compare"] == "curves":
        common = [point for point in POINTS[example] if point.origin == "reproduced" and (point.panel, point.series, point.x) in theirs]
        last = {(point.panel, point.series): point for point in common}
    for (panel, series), ours in last.items():
        variant, quantity = re.fullmatch(r"(.+?)_(twice_softmaxed_loss|loss|accuracy)", panel).groups()
        reported = theirs[panel, series, ours.x]
        what = f"{SPLITS[series]} {MEASURES[quantity]}, epoch {ours.x:g}"
        yield variant, what, reported.y, reported.resolution, ours, quantity == "accuracy"
    for variant, place in (printed.values() for printed in item.get("numbers", [])):
        [number] = [number for number in REPORTED["number"] if number["where"] == place]
        if item["compare"] == "layers":
            for what, reported, resolution, y in layers(example, number):
                yield "", what, reported, resolution, Point(y=y, deviation=None, seeds=0), False
            continue
        parameters = f"{number['parameters']:,} parameters, " if "parameters" in number else ""
        for key in (key for key in [*SPLITS, "best_validation"] if key in number):
            *best, series = key.split("_")
            ours = [point for point in curve(example, f"{variant}_accuracy", series) if point.data in REPORT_DATA]
            if ours and ours[-1].x == number.get("epochs", ours[-1].x):
                what = " ".join([*best, SPLITS[series], "accuracy"])
                chosen = max(ours, key=lambda point: point.y) if best else ours[-1]
                yield variant, parameters + what, number[key], number.get("resolution", 5e-5), chosen, True


def check_comparisons(item, page, head, rows, names):
    """Reported beside reproduced. Returns where the reported runs fall among further runs of ours."""
    table, separator = f"reported beside reproduced, {page}", ": " if names else ", "
    found, quantiles = {row[0]: dict(zip(head, row, strict=True)) for row in rows}, []
    for variant, what, reported, resolution, ours, is_accuracy in comparisons(item):
        half_width, falls_at, verdict = judged(reported, resolution, ours, is_accuracy)
        scale = 100 if is_accuracy else 1
        what = f"{names.get(variant, variant.replace('_', ' '))}{separator}{what}" if variant else what
        expected = {
            "reported": [scale * reported],
            "reproduced": words(ours, scale),
            "difference": [scale * (ours.y - reported)],
            "detectable": [] if half_width is None else [scale * half_width],
            "falls at": [] if falls_at is None else [100 * falls_at],
            "verdict": verdict,
        }
        row = found.pop(what, dict.fromkeys(head, "no such row"))
        for column in head[1:]:
            check(table, f"{item['example']}: {what}: {column}", row[column], expected[column])
        quantiles.extend([] if falls_at is None else [falls_at])
    for what in found:
        check(table, f"{item['example']}: {what}", "a row", "no such row")
    return quantiles


def check_last_epoch(example, rows):
    for variant, _, _, train, validation, gap, test, epochs, seeds in rows:
        last = [curve(example, variant.replace(" ", "_") + "_accuracy", series)[-1:] for series in SPLITS]
        for cell, point in zip([train, validation, test], last):
            check("after the last epoch", f"{example}: {variant}", cell, words(point[0])[:-1] if point else [])
        [[one], [other], _] = last
        for cell, value in [(gap, one.y - other.y), (epochs, one.x), (seeds, one.seeds)]:
            check("after the last epoch", f"{example}: {variant}", cell, [value])


def check_validation(example, rows):
    """The confusion matrix; of one seed, its accuracy is that of an epoch."""
    pairs = Counter((row["label"], row["prediction"]) for row in rows_of(f"{example}_validation"))
    for label, cats, dogs, accuracy in rows:
        counted = [pairs[label, prediction] for prediction in ("Cat", "Dog")]
        for cell, value in [(cats, counted[0]), (dogs, counted[1]), (accuracy, pairs[label, label] / sum(counted))]:
            check("validation images", f"{example}: {label}", cell, [value])
    share = (pairs["Cat", "Cat"] + pairs["Dog", "Dog"]) / pairs.total()
    of_one_seed = [point for point in POINTS[example] if point.origin == "reproduced" and point.seeds == 1]
    accuracies = [point.y for point in of_one_seed if "_accuracy" in point.panel and point.series == "validation"]
    if accuracies:
        nearest = min(accuracies, key=lambda accuracy: abs(accuracy - share))
        check("validation images", f"{example}: accuracy of an epoch", f"{nearest:.9f}", [share])


def check_seeds(example):
    """Means and standard deviations over seeds, where the value of each seed is in a panel of its own or in the CSV of trials."""
    values = defaultdict(list)
    for point in POINTS[example]:
        panel, _, seed = re.fullmatch(r"(.*?)(_by_seed|_seed_(\d+))?", point.panel).groups()
        if panel != point.panel:
            values["panel", panel, *((point.series, point.x) if seed else ())].append(point.y)
    if (PLOTS / f"{example}_trials.csv").exists():
        for row in rows_of(f"{example}_trials"):
            for series in (series for series in SPLITS if row[f"{series}_accuracy"]):
                values["trials", f"{row['variant']}_accuracy", series, float(row["epochs"])].append(float(row[f"{series}_accuracy"]))
    for (_, panel, *place), each in ((key, each) for key, each in values.items() if len(each) > 1):
        series, x = place or ("train" if panel.endswith("_seconds") else "test", None)
        point = next((point for point in reversed(curve(example, panel, series)) if x in (None, point.x)), None)
        found = f"{point.y:.12f} ± {point.deviation:.12f} (n = {point.seeds:g})" if point else ""
        check("means over seeds", f"{example}: {panel}, {series}", found, [stats.tmean(each), stats.tstd(each), len(each)])


def check_quantiles(text, quantiles):
    """The sign test of each item with 6 numbers or more, and how many of all numbers are in the middle half and the middle 95 %."""
    found = re.findall(r"(\d+) of (\d+) reported numbers lie .*? p = ([\d.]+);", text)
    tested = [each for each in quantiles if len(each) >= 6]
    check("sign tests", "how many", str(len(found)), [len(tested)])
    for numbers, each in zip(found, tested):
        below = sum(quantile < 0.5 for quantile in each)
        check("sign tests", "report_card.md", " ".join(numbers), [below, len(each), stats.binomtest(below, len(each)).pvalue])
    found = re.search(r"(\d+) numbers of the report stand.*?(\d+) fall into the middle half.*?(\d+) into the middle 95 %", text, re.DOTALL)
    distances = [abs(quantile - 0.5) for each in quantiles for quantile in each]
    within = [sum(distance <= width / 2 for distance in distances) for width in (0.5, 0.95)]
    check("sign tests", "how much is luck", " ".join(found.groups()) if found else "", [len(distances), *within])


POINTS = {path.stem: rows_of(path.stem) for path in sorted(PLOTS.glob("*.csv"))}
POINTS = {example: [point(row) for row in rows] for example, rows in POINTS.items() if rows and "panel" in rows[0]}
of_card = {title: table for title, *table in tables(PLOTS / "report_card.md") if "falls at" in table[0]}
quantiles = []
for item in (item for item in CARD["item"] if item["compare"] != "picture"):
    head, rows = of_card.get(f"{item['report']}: {item['what']}", (["", "verdict"], []))
    quantiles.append(check_comparisons(item, "report_card.md", head, rows, CARD["names"].get(item["example"], {})))
check_quantiles((PLOTS / "report_card.md").read_text(), quantiles)
for path in sorted(set(PLOTS.glob("*.md")) - {PLOTS / "report_card.md"}):
    for title, head, rows in tables(path):
        if "detectable" in head:
            check_comparisons(next(item for item in CARD["item"] if item["example"] == path.stem), "plots/*.md", head, rows, {})
        elif "seconds an epoch" in head:
            check_last_epoch(path.stem, rows)
        elif title == "Validation images":
            check_validation(path.stem, rows)
for example in POINTS:
    check_seeds(example)
for table, count in counts.items():
    print(f"{table}: {count} cells, largest difference {largest[table]:.3f} of the last digit")
sys.exit("\n".join(failures) or 0)
