"""Makes growth.json: how well XGBoost (1.7.4 of Debian 12) and LightGBM (4.7) learn two example tables under each rule of growth;
test/ml/growth-goldens.test.ts compares ours with it. Every third row tests. Figures: root mean squared error, or log loss; the
mean over five seeds where rows or columns are drawn.

Run once by hand, with a Python that has numpy and either library; each run adds its part:
/usr/bin/python3 test/goldens/growth.py test/goldens/growth.json
"""
import csv
import json
import os
import sys

import numpy as np

TABLES = {
    "ames": ("examples/ames_housing/ames.csv", "Sale_Price", lambda v: float(v) / 100_000),
    "credit": ("examples/credit_scoring/credit_data.csv", "Status", lambda v: float(v == "bad")),
}
MONOTONE = {
    "ames": {"Gr_Liv_Area": 1, "Year_Built": 1, "Lot_Area": 1},
    "credit": {"Seniority": -1, "Income": -1, "Amount": 1},
}
GROUPS = {
    "ames": [["Gr_Liv_Area", "Year_Built", "Lot_Area"], ["Year_Built", "Total_Bsmt_SF", "Garage_Area"]],
    "credit": [["Seniority", "Income", "Age"], ["Amount", "Price"]],
}


COLUMNS = []


def read(file, target, number):
    """The columns of numbers, and the target."""
    with open(file) as rows:
        rows = list(csv.DictReader(rows))
    y = np.array([number(row[target]) for row in rows])
    columns, values = [], []
    for name in rows[0]:
        try:
            cells = [float("nan" if row[name] in ("", "NA") else row[name]) for row in rows]
        except ValueError:
            continue
        if name != target:
            columns.append(name)
            values.append(cells)
    return np.array(values, dtype=np.float32).T, y, columns


def xgboost(x, y, tx, more, seed):
    import xgboost as xgb

    parameters = {
        "objective": "reg:squarederror" if y.max() > 1 else "binary:logistic",
        "base_score": float(y.mean()),
        "tree_method": "hist",
        "max_bin": 255,
        "nthread": 1,
        "seed": seed,
        **more,
    }
    booster = xgb.train(parameters, xgb.DMatrix(x, y, feature_names=COLUMNS), 100)
    return booster.predict(xgb.DMatrix(tx, feature_names=COLUMNS))


def lightgbm(x, y, tx, more, seed):
    import lightgbm as lgb

    parameters = {
        "objective": "regression" if y.max() > 1 else "binary",
        "num_threads": 1,
        "verbosity": -1,
        "seed": seed,
        **more,
    }
    return lgb.train(parameters, lgb.Dataset(x, y), 100).predict(tx)


def cases(library, table, columns):
    """Name -> the library's parameters and ours."""
    monotone = tuple(MONOTONE[table].get(c, 0) for c in columns)
    if library == "xgboost":
        return {
            "defaults": ({}, {}),
            "alpha": ({"alpha": 3}, {"regAlpha": 3}),
            "gamma": ({"gamma": 1}, {"minSplitGain": 1}),
            "maxDeltaStep": ({"max_delta_step": 0.2}, {"maxDeltaStep": 0.2}),
            "columns": (
                {"colsample_bytree": 0.8, "colsample_bylevel": 0.7, "colsample_bynode": 0.6},
                {"colsample": 0.8, "colsampleByLevel": 0.7, "colsampleByNode": 0.6},
            ),
            "rows": ({"subsample": 0.5}, {"subsample": 0.5}),
            "leaves": (
                {"grow_policy": "lossguide", "max_leaves": 12, "max_depth": 0},
                {"growth": "LEAF_WISE", "numLeaves": 12, "maxDepth": 0},
            ),
            "monotone": ({"monotone_constraints": monotone}, {}),
            "groups": ({"interaction_constraints": GROUPS[table]}, {}),
        }
    return {
        "defaults": ({}, {}),
        "goss": ({"data_sample_strategy": "goss"}, {"sampling": "GOSS"}),
        "penalties": ({"lambda_l1": 2, "lambda_l2": 5}, {"regAlpha": 2, "regLambda": 5}),
        "columns": ({"feature_fraction_bynode": 0.5}, {"colsampleByNode": 0.5}),
        "monotone": ({"monotone_constraints": monotone}, {}),
    }


DRAWN = {"columns", "rows", "goss"}


def figure(y, p):
    if y.max() > 1:
        return float(np.sqrt(np.mean((y - p) ** 2)))
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def main(path):
    done = json.load(open(path)) if os.path.exists(path) else {"monotone": MONOTONE, "groups": GROUPS, "cases": []}
    for library in ("xgboost", "lightgbm"):
        try:
            __import__(library)
        except ImportError:
            continue
        learn = {"xgboost": xgboost, "lightgbm": lightgbm}[library]
        done["cases"] = [case for case in done["cases"] if case["library"] != library]
        for table, (file, target, number) in TABLES.items():
            x, y, columns = read(file, target, number)
            COLUMNS[:] = columns
            is_test = np.arange(len(x)) % 3 == 0
            for name, (theirs, ours) in cases(library, table, columns).items():
                seeds = range(5) if name in DRAWN else range(1)
                figures = [figure(y[is_test], learn(x[~is_test], y[~is_test], x[is_test], theirs, s)) for s in seeds]
                done["cases"].append({"library": library, "table": table, "name": name, "parameters": ours, "figure": round(float(np.mean(figures)), 6)})
    done["cases"].sort(key=lambda case: (case["library"], case["table"]))
    with open(path, "w") as out:
        out.write(json.dumps(done, indent=2) + "\n")


main(sys.argv[1])
