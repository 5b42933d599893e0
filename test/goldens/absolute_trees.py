"""Makes absolute_trees.json: how well scikit-learn (1.2.1 of Debian 12) learns house prices with criterion="absolute_error";
test/ml/absolute-trees.test.ts compares ours with it. Number columns of the example table; every third row tests. Figures: mean
absolute error of the answers on these, mean over the seeds; and of one tree on its own rows, by columns of so few values that ours
need not be gathered into bins: there it is the same tree. Weights are repeated rows in it, for this release errs in weighted medians.

Run once by hand, with a Python that has scikit-learn:
/usr/bin/python3 test/goldens/absolute_trees.py test/goldens/absolute_trees.json
"""
import csv
import json
import sys

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor


def read():
    """The columns of numbers, and the target in units of 100,000."""
    with open("examples/ames_housing/ames.csv") as rows:
        rows = list(csv.DictReader(rows))
    columns = {}
    for name in rows[0]:
        try:
            columns[name] = [float(row[name]) for row in rows]
        except ValueError:
            continue
    y = np.array(columns.pop("Sale_Price")) / 100_000
    return np.array(list(columns.values())).T, y


X, Y = read()
TESTS = np.arange(len(Y)) % 3 == 0
WEIGHTS = np.where(np.arange(len(Y)) % 2 == 0, 3.0, 1.0)
SEEDS = [1, 2, 3]


def figure(made, weights):
    errors = []
    for seed in SEEDS:
        model = made(seed).fit(X[~TESTS], Y[~TESTS], sample_weight=weights)
        errors.append(np.abs(model.predict(X[TESTS]) - Y[TESTS]).mean())
    return round(float(np.mean(errors)), 5)


SHARED = {"criterion": "absolute_error", "min_samples_leaf": 5}
OURS = {"criterion": "ABSOLUTE", "minSamplesLeaf": 5}
FOREST = {"n_estimators": 20, "max_depth": 8, "max_features": 0.5, "n_jobs": 1}
OUR_FOREST = {"nEstimators": 20, "maxDepth": 8, "maxFeatures": "HALF"}


def same(weights):
    few = [f for f in range(X.shape[1]) if len(np.unique(X[~TESTS, f])) <= 200]
    x, y = np.repeat(X[~TESTS][:, few], weights, axis=0), np.repeat(Y[~TESTS], weights)
    model = DecisionTreeRegressor(criterion="absolute_error", max_depth=5, random_state=1).fit(x, y)
    return float(np.abs(model.predict(x) - y).mean())


def tree(seed):
    return DecisionTreeRegressor(**SHARED, max_depth=6, random_state=seed)


CASES = [
    ("tree", "DECISION_TREE", {**OURS, "maxDepth": 6}, False, tree),
    ("weighted tree", "DECISION_TREE", {**OURS, "maxDepth": 6}, True, tree),
    ("forest", "RANDOM_FOREST", {**OURS, **OUR_FOREST}, False,
     lambda seed: RandomForestRegressor(**SHARED, **FOREST, random_state=seed)),
    ("extra trees", "EXTRA_TREES", {**OURS, **OUR_FOREST}, False,
     lambda seed: ExtraTreesRegressor(**SHARED, **FOREST, random_state=seed)),
]

made = {
    "same": [{"weighted": weighted, "mae": same(WEIGHTS[~TESTS].astype(int) if weighted else 1)} for weighted in (False, True)],
    "cases": [
        {"name": name, "algorithm": algorithm, "parameters": parameters, "weighted": weighted,
         "mae": figure(model, WEIGHTS[~TESTS] if weighted else None)}
        for name, algorithm, parameters, weighted, model in CASES
    ],
}
with open(sys.argv[1], "w") as file:
    json.dump(made, file, indent=1)
    file.write("\n")
