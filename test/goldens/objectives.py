"""Test losses of XGBoost and LightGBM by objective, that test/ml/objective.test.ts compares ours with: objectives.json.

Run once by hand, with Python that has one library or the other; each run adds what it has:
    /usr/bin/python3 test/goldens/objectives.py test/goldens/objectives.json     (XGBoost 1.7.4 of Debian 12)
    python test/goldens/objectives.py test/goldens/objectives.json               (LightGBM 4)
The table is made here and in the test by the same whole-number arithmetic.
"""
import json
import os
import sys

import numpy as np

ROWS, TEST = 900, 600
SHARED = {"rounds": 60, "rate": 0.1, "leaves": 15, "lambda": 1, "child": 0.001, "rows": 20}


def made():
    state = 12345

    def draw():
        nonlocal state
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        return (state >> 8) / (1 << 23)

    x = np.zeros((ROWS + TEST, 5))
    noise = np.zeros((ROWS + TEST, 3))
    for i in range(ROWS + TEST):
        for j in range(5):
            x[i, j] = draw()
        for j in range(3):
            noise[i, j] = draw()
    return x, noise


def targets(x, noise):
    centre = 3 * x[:, 0] + 2 * (x[:, 1] > 0.5) * x[:, 2] - x[:, 3]
    spread = (noise[:, 0] + noise[:, 1] - 1) * (0.5 + x[:, 4])
    outlier = np.where(noise[:, 2] > 0.95, 20 * (noise[:, 0] - 0.3), 0)
    rate = np.exp(centre / 2)
    counts = np.floor(rate * 2 * noise[:, 0] + noise[:, 1])
    size = rate * (0.2 + 2 * noise[:, 1] * noise[:, 2])
    label = (centre + 2 * (noise[:, 0] - 0.5) > 1.7).astype(float)
    return {
        "LOGISTIC": label,
        "SOFTMAX": np.clip(np.floor(centre + 2 * noise[:, 0] - 0.5), 0, 3),
        "SQUARED": centre + spread,
        "ABSOLUTE": centre + spread + outlier,
        "HUBER": centre + spread + outlier,
        "QUANTILE": centre + spread,
        "POISSON": counts,
        "GAMMA": size,
        "TWEEDIE": np.where(noise[:, 2] < 0.4, 0, size),
        "WEIGHTED": centre + spread,
        "WEIGHTED_LOGISTIC": label,
    }


def deviance(power, y, mu):
    if power == 1:
        return np.mean(2 * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0) - y + mu))
    if power == 2:
        return np.mean(2 * (np.log(mu / y) + y / mu - 1))
    p = power
    return np.mean(2 * (y ** (2 - p) / ((1 - p) * (2 - p)) - y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)))


def loss(name, y, p, w):
    r = p - y if p.ndim == 1 else None
    if name in ("LOGISTIC", "WEIGHTED_LOGISTIC"):
        return np.average(-np.log(np.where(y == 1, p, 1 - p)), weights=w)
    if name == "SOFTMAX":
        return np.mean(-np.log(p[np.arange(len(y)), y.astype(int)]))
    if name in ("SQUARED", "WEIGHTED"):
        return np.sqrt(np.average(r * r, weights=w))
    if name == "ABSOLUTE":
        return np.mean(np.abs(r))
    if name == "HUBER":
        return np.mean(np.where(np.abs(r) <= 1, r * r / 2, np.abs(r) - 0.5))
    if name == "QUANTILE":
        return np.mean(np.where(r > 0, 0.2 * r, -0.8 * r))
    return deviance({"POISSON": 1, "GAMMA": 2, "TWEEDIE": 1.4}[name], y, p)


def by_xgboost(x, y, w, test, name):
    import xgboost as xgb

    objective = {
        "LOGISTIC": "binary:logistic", "WEIGHTED_LOGISTIC": "binary:logistic", "SOFTMAX": "multi:softprob",
        "SQUARED": "reg:squarederror", "WEIGHTED": "reg:squarederror", "ABSOLUTE": "reg:absoluteerror",
        "HUBER": "reg:pseudohubererror", "POISSON": "count:poisson", "GAMMA": "reg:gamma", "TWEEDIE": "reg:tweedie",
    }.get(name)
    if objective is None:
        return None
    parameters = {
        "objective": objective, "tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "verbosity": 0,
        "max_leaves": SHARED["leaves"], "learning_rate": SHARED["rate"], "reg_lambda": SHARED["lambda"], "nthread": 1,
        "max_bin": 255, "min_child_weight": SHARED["child"], "tweedie_variance_power": 1.4, "base_score": 0.5,
    }
    if name == "SOFTMAX":
        parameters["num_class"] = 4
    return xgb.train(parameters, xgb.DMatrix(x, y, weight=w), SHARED["rounds"]).predict(xgb.DMatrix(test))


def by_lightgbm(x, y, w, test, name):
    import lightgbm as lgb

    objective = {
        "LOGISTIC": "binary", "WEIGHTED_LOGISTIC": "binary", "SOFTMAX": "multiclass", "SQUARED": "l2", "WEIGHTED": "l2",
        "ABSOLUTE": "l1", "HUBER": "huber", "QUANTILE": "quantile", "POISSON": "poisson", "GAMMA": "gamma",
        "TWEEDIE": "tweedie",
    }[name]
    parameters = {
        "objective": objective, "num_leaves": SHARED["leaves"], "learning_rate": SHARED["rate"], "verbosity": -1,
        "lambda_l2": SHARED["lambda"], "min_sum_hessian_in_leaf": SHARED["child"], "num_threads": 1,
        "min_data_in_leaf": SHARED["rows"], "alpha": 0.8 if name == "QUANTILE" else 1, "tweedie_variance_power": 1.4,
    }
    if name == "SOFTMAX":
        parameters["num_class"] = 4
    return lgb.train(parameters, lgb.Dataset(x, y, weight=w), SHARED["rounds"]).predict(test)


path = sys.argv[1]
known = json.load(open(path)) if os.path.exists(path) else {}
x, noise = made()
for name, y in targets(x, noise).items():
    weights = 1 + 9 * (x[:, 4] > 0.7) if name.startswith("WEIGHTED") else np.ones(len(y))
    for library, answer in (("XGBoost", by_xgboost), ("LightGBM", by_lightgbm)):
        try:
            p = answer(x[:ROWS], y[:ROWS], weights[:ROWS], x[ROWS:], name)
        except ImportError:
            continue
        if p is not None:
            known.setdefault(name, {})[library] = round(float(loss(name, y[ROWS:], p, weights[ROWS:])), 6)
with open(path, "w") as file:
    json.dump(known, file, indent=2)
    file.write("\n")
