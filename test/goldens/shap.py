"""Makes shap.json: contributions of XGBoost (1.7.4 of Debian 12) that test/ml/shap.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/shap.py > test/goldens/shap.json
"""
import json

import numpy as np
import xgboost as xgb

rng = np.random.default_rng(5)
rows = 300
x = np.round(rng.normal(size=(rows, 5)), 2).astype(np.float32)
x[rng.random((rows, 5)) < 0.08] = np.nan
filled = np.nan_to_num(x, nan=0.7)
y = filled[:, 0] * 2 + np.sin(2 * filled[:, 1]) + (filled[:, 2] > 0.3) * filled[:, 3] + 0.1 * rng.normal(size=rows)
data = xgb.DMatrix(x, label=y)
booster = xgb.train({"max_depth": 5, "eta": 0.3, "tree_method": "exact", "base_score": 0.5, "lambda": 1}, data, 12)


def flat(text):
    nodes = {}

    def walk(node):
        nodes[node["nodeid"]] = node
        for child in node.get("children", []):
            walk(child)

    walk(json.loads(text))
    order = [nodes[i] for i in range(len(nodes))]
    below = lambda t: float(np.nextafter(np.float32(t), np.float32(-np.inf)))  # x < t is x <= the float below t
    return {
        "feature": [int(n["split"][1:]) if "split" in n else -1 for n in order],
        "threshold": [below(n["split_condition"]) if "split" in n else 0 for n in order],
        "missingLeft": [int("split" in n and n["missing"] == n["yes"]) for n in order],
        "left": [n.get("yes", 0) for n in order],
        "right": [n.get("no", 0) for n in order],
        "value": [float(np.float32(n.get("leaf", 0))) for n in order],
        "cover": [n["cover"] for n in order],
    }


null = lambda matrix: [[None if np.isnan(v) else round(float(v), 9) for v in row] for row in matrix]
print(json.dumps({
    "x": null(x),
    "trees": [flat(text) for text in booster.get_dump(with_stats=True, dump_format="json")],
    "contributions": null(booster.predict(xgb.DMatrix(x[:40]), pred_contribs=True)),
}))
