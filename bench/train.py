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
xgb.train(parameters, xgb.DMatrix(x[:100], y[:100]), 2)
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = memory("VmRSS")
seconds = []
for _ in range(order["repeats"]):
    start = time.perf_counter()
    booster = xgb.train(parameters, xgb.DMatrix(x, y), order["rounds"])
    seconds.append(time.perf_counter() - start)
peak = memory("VmHWM") - before
p = np.clip(booster.predict(xgb.DMatrix(test)).astype(np.float64), 1e-15, 1 - 1e-15)
loss = float(-np.mean(test_y * np.log(p) + (1 - test_y) * np.log(1 - p)))
print(json.dumps({"seconds": statistics.median(seconds), "logLoss": loss, "peakBytes": peak}))
