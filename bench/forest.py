"""scikit-learn's side of bench/forest.ts: reads columns of float32 from a file, trains, answers one line of JSON."""

import json
import sys
import time

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def columns(path, rows, width):
    return np.ascontiguousarray(np.fromfile(path, dtype="<f4").reshape(width, rows).T)


order = json.loads(sys.argv[1])
width, rows = order["columns"], order["rows"]
# scikit-learn's trees take no missing values: zero in their stead.
x = np.nan_to_num(columns(order["train"], rows, width))
y = np.fromfile(order["train"] + ".y", dtype="<f4").astype(int)
test = np.nan_to_num(columns(order["test"], order["testRows"], width))
test_y = np.fromfile(order["test"] + ".y", dtype="<f4")
kind = {"RANDOM_FOREST": RandomForestClassifier, "EXTRA_TREES": ExtraTreesClassifier}.get(order["algorithm"])
if kind is None:
    model = DecisionTreeClassifier(min_samples_leaf=order["minSamplesLeaf"], random_state=1)
else:
    model = kind(order["trees"], min_samples_leaf=order["minSamplesLeaf"], n_jobs=2, random_state=order["seed"])
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = memory("VmRSS")
start = time.perf_counter()
model.fit(x, y)
seconds = time.perf_counter() - start
peak = memory("VmHWM") - before
p = np.clip(model.predict_proba(test)[:, 1], 1e-3, 1 - 1e-3)
loss = float(-np.mean(test_y * np.log(p) + (1 - test_y) * np.log(1 - p)))
print(json.dumps({"seconds": seconds, "logLoss": loss, "auc": roc_auc_score(test_y, p), "peakBytes": peak}))
