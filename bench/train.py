"""XGBoost's side of bench/train.ts: reads columns of float32 from a file, trains, answers one line of JSON."""

import json
import statistics
import sys
import time

import numpy as np
import xgboost as xgb


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def columns(path, rows, width):
    return np.ascontiguousarray(np.fromfile(path, dtype="<f4").reshape(width, rows).T)


order = json.loads(sys.argv[1])
width, rows = order["columns"], order["rows"]
x = columns(order["train"], rows, width)
y = np.fromfile(order["train"] + ".y", dtype="<f4")
test = columns(order["test"], order["testRows"], width)
test_y = np.fromfile(order["test"] + ".y", dtype="<f4")
categorical = order["categorical"]
types = ["c" if k in categorical else "q" for k in range(width)]


def matrix(values, labels=None):
    return xgb.DMatrix(values, labels, feature_types=types, enable_categorical=True)


parameters = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_depth": 0,
    "max_leaves": order["leaves"],
    "learning_rate": 0.1,
    "reg_lambda": 1,
    "max_bin": 255,
    "min_child_weight": 1e-3,
    "nthread": order["referenceThreads"],
    "verbosity": 0,
}
xgb.train(parameters, matrix(x[:100], y[:100]), 2)
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = memory("VmRSS")
seconds = []
for _ in range(order["repeats"]):
    start = time.perf_counter()
    booster = xgb.train(parameters, matrix(x, y), order["rounds"])
    seconds.append(time.perf_counter() - start)
peak = memory("VmHWM") - before
predict_seconds = None
if order["predicts"]:
    booster.set_param({"nthread": 2})
    times = []
    for predict in (lambda: booster.inplace_predict(x), lambda: booster.predict(matrix(x))):
        start = time.perf_counter()
        predict()
        times.append(time.perf_counter() - start)
    predict_seconds = min(times)


def log_loss(answers):
    p = np.clip(answers.astype(np.float64), 1e-15, 1 - 1e-15)
    return float(-np.mean(test_y * np.log(p) + (1 - test_y) * np.log(1 - p)))


loss, other_loss = log_loss(booster.predict(matrix(test))), None
if order["asksOther"]:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier

        other = HistGradientBoostingClassifier(
            learning_rate=0.1, max_leaf_nodes=order["leaves"], min_samples_leaf=20, l2_regularization=1, max_bins=255,
            max_iter=order["rounds"], early_stopping=False, categorical_features=categorical or None,
        )
        # Codes beyond its bins are left to it as numbers.
        if any(x[:, k].max() >= 255 for k in categorical):
            other.set_params(categorical_features=None)
        other_loss = log_loss(other.fit(x, y).predict_proba(test)[:, 1])
    except ImportError:
        pass
print(json.dumps({
    "seconds": statistics.median(seconds), "logLoss": loss, "otherLogLoss": other_loss, "peakBytes": peak, "predictSeconds": predict_seconds,
}))
